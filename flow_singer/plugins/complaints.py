"""What programs say when they fail: whether it is a mistake, which trying again does not mend.

Asked only of what has failed anyway. Where in doubt it is none: then a scheduler tries again, to no avail at worst.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_REQUIREMENTS = re.compile(
    r"No solution found when resolving|requirements are unsatisfiable"
    r"|Failed to parse: `|Couldn't parse requirement|The wheel filename `[^`]*` is invalid"
    r"|No interpreter found|File not found: |Distribution not found at: "
    r"|couldn't find remote ref|\(40[14] [^)]*\) for url"
    r"|does not appear to be a Python project"
    r"|error: (unexpected argument|invalid value|a value is required|the argument) "
)
"""What uv says of requirements that cannot be met, by anybody, at any time."""

_UNREACHABLE = re.compile(
    r"network was disabled|403 Forbidden|error sending request|timed out|dns error"
    r"|HTTP status server error|HTTP status client error \(4(?!0[14])\d\d"
    r"|unable to access|Could not resolve host|Connection (refused|reset)"
)
"""What it says where the other side may answer another time."""

_SETTINGS = re.compile(r"\bConfig validation (failed|error)\b|\bConfig is missing required keys\b")
"""Singer SDK and singer-python."""

_USAGE = re.compile(r"^(\S+: error: |Error: |error: )")
"""argparse and click, which say how they are called before that."""

_UNAUTHORIZED = re.compile(
    r"\b401 Client Error\b|\b401\b[ :,-]*(Unauthorized|Bad credentials)\b|\bUnauthorized\b.{0,20}\b401\b"
    r"|\bHTTP(Error| error)?(-error-code| status| code| status code)?[ :=]+401\b|\bstatus([ _]code)?[ :=]+401\b",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"\b(403|408|425|429|5\d\d)\b (Client Error|Server Error|Forbidden|Too Many Requests|Service Unavailable)"
    r"|Connection ?(Error|refused|reset|aborted)|timed out|\bTimeout(Error)?\b|Max retries exceeded|rate limit",
    re.IGNORECASE,
)

_USAGE_CODE = 2
"""By which argparse and click end where they do not understand the command line."""

_TRACEBACK = "Traceback (most recent call last)"
_HARMLESS = re.compile(r"\b(DEBUG|INFO|WARN|WARNING)\b")
_LEVEL_WITHIN = 60
_LAST = 6
"""How many lines a last word may have."""


def is_mistake_in_requirements(said: str) -> bool:
    """Whether uv failed by what it was asked for: no such package or version, a torn requirement, another Python.

    Args:
        said: the last lines of its output.
    """
    text = re.sub(r"[\s│╰─▶]+", " ", said)  # uv before 0.8 folds and frames what it says
    return bool(_REQUIREMENTS.search(text)) and not _UNREACHABLE.search(text)


def is_mistake_in_settings(code: int, said: Sequence[str], *, was_let_in: bool = False) -> bool:
    """Whether a tap or target failed by its own settings: it refuses them, or a server refuses who it says it is.

    Args:
        code: its exit code; negative for a signal.
        said: the last lines of its stderr.
        was_let_in: whether a server has answered it before: then a refusal is one of the moment.
    """
    if code <= 0:
        return False
    words = _last_words(said)
    if any(map(_SETTINGS.search, words)):
        return True
    if code == _USAGE_CODE and any(line.lower().startswith("usage:") for line in said):
        return bool(words) and bool(_USAGE.search(words[-1]))
    if was_let_in:
        return False
    return any(map(_UNAUTHORIZED.search, words)) and not any(map(_PASSING.search, words))


def _last_words(said: Iterable[str]) -> list[str]:
    """The lines that tell of the end: those behind the last traceback's frames, without what is only told of."""
    words: list[str] = []
    for line in said:
        if _TRACEBACK in line:
            words.clear()
        elif line.strip() and not line[0].isspace() and not _HARMLESS.search(line[:_LEVEL_WITHIN]):
            words.append(line)
    return words[-_LAST:]
