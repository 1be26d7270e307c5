"""What a plugin says of itself: what it can do, and which settings it has. It is asked once per build."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flow_singer.errors import ConfigError
from flow_singer.files import write_atomic
from flow_singer.plugins.builds import build_key, file_key
from flow_singer.plugins.programs import FoundPlugin
from flow_singer.process.quietrun import run_quietly

logger = logging.getLogger(__name__)

_MAX_ANSWER_BYTES = 10_000_000
_LINGER_S = 5.0


class About(NamedTuple):
    """What a plugin says of itself.

    Attributes:
        capabilities: Singer SDK names: catalog, properties, discover, state, ...; None where it says none.
        settings: a JSON Schema of its config, or a list of settings as in a lock file; None where it says none.
    """

    capabilities: frozenset[str] | None = None
    settings: Any = None


TAP_CAPABILITIES = frozenset({"catalog", "discover", "properties"})
"""What only taps say that they can do (Singer SDK; "state" is in the lists of targets too)."""
TARGET_CAPABILITIES = frozenset(
    {"target-schema", "hard-delete", "soft-delete", "validate-records", "datetime-failsafe"}
)
"""What only targets say."""


def capabilities(
    found: FoundPlugin,
    *,
    env: Mapping[str, str],
    cache: Path,
    timeout_s: float = 60.0,
    refresh: bool = False,
) -> frozenset[str]:
    """Return what a tap can do: as declared, else as it says itself when asked (once).

    Args:
        found: its environment must be there.
        env: the plugin's environment variables.
        cache: folder that keeps the answer (see `builds.cache_folder`).
        timeout_s: how long each of the two questions may take.
        refresh: ask anew.

    Returns:
        Singer SDK names: catalog, properties, discover, state. Empty for targets and mappers, of which
        nothing is asked.

    Raises:
        TapError: it can neither tell about itself nor show its help.
        ConfigError: by what it says it is a target.
    """
    if found.capabilities is not None:
        _refuse_target(found, found.capabilities)
        return found.capabilities
    if found.kind != "extractors":
        return frozenset()
    answer = ask_about(found, env=env, cache=cache, timeout_s=timeout_s, refresh=refresh)
    if answer.capabilities is not None:
        _refuse_target(found, answer.capabilities)
        return answer.capabilities
    _, text, tail = _ask(found, ["--help"], env, timeout_s)
    options = set(re.findall(r"--(catalog|properties|state|discover|config)\b", text))
    if "config" in options:
        able = frozenset(options - {"config"})
        kept = _kept_about(cache)
        if kept is not None and kept[1] == answer:
            _keep_about(found, cache, answer._replace(capabilities=able))
        return able
    said = f' Its last line was: "{tail[-1]}".' if tail else ""
    raise found.failure(
        f"{found.name} does not say what it can do: --about and --help both failed.{said}",
        "List its capabilities in meltano.yml: 'capabilities: [catalog, discover, state]', those of them that it has; "
        "'capabilities: []' if it has none.",
    )


def _refuse_target(found: FoundPlugin, able: frozenset[str]) -> None:
    if found.kind == "extractors" and (foreign := able & TARGET_CAPABILITIES) and not able & TAP_CAPABILITIES:
        raise ConfigError(
            f"{found.name} is no tap: it says of itself that it can {', '.join(sorted(foreign))}.",
            f"A target stands at the end: flow run TAP {found.name}",
        )


def ask_about(
    found: FoundPlugin,
    *,
    env: Mapping[str, str],
    cache: Path,
    timeout_s: float = 60.0,
    refresh: bool = False,
) -> About:
    """Return what a plugin says to `--about --format=json`; it is asked once per build.

    Unlike a catalog, the answer of a program whose build is not known is kept until its file changes: asking
    takes as long as starting it, and what a plugin can do hardly ever changes.

    Args:
        found: its environment must be there.
        env: the plugin's environment variables.
        cache: folder that keeps the answer (see `builds.cache_folder`).
        timeout_s: how long it may take.
        refresh: ask anew.

    Raises:
        TapError, TargetError: it cannot be started.

    Source: Singer SDK 0.54, "About information".
    """
    kept, build = _kept_about(cache), _about_key(found)
    if kept is not None and build is not None and kept[0] == build and not refresh:
        return kept[1]
    code, text, _ = _ask(found, ["--about", "--format=json"], env, timeout_s)
    answer = _read_about(text) if code == 0 else About()
    if (
        code >= 0
    ):  # one that was killed, such as after `timeout_s` on a busy machine, may answer the next time
        _keep_about(found, cache, answer)
    return answer


def known_about(found: FoundPlugin, cache: Path) -> About | None:
    """Return what a plugin said of itself, without starting it; None where it was never asked.

    A connector that comes with Flow brings its answer along, in `about.json` beside its code.
    """
    if found.source == "bundled":
        return _read_about((_module_folder(found.command[-1]) / "about.json").read_text(encoding="utf-8"))
    kept = _kept_about(cache)
    return kept[1] if kept else None


def _module_folder(module: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(module)
    assert spec is not None  # it comes with Flow
    assert spec.origin is not None
    return Path(spec.origin).parent


def _read_about(text: str) -> About:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # not the SDK: its --about, if it has one, is for people
        return About()
    if not isinstance(answer, dict):
        return About()
    able, settings = answer.get("capabilities"), answer.get("settings")
    return About(
        frozenset(map(str, able)) if isinstance(able, list) else None,
        settings if isinstance(settings, (dict, list)) else None,
    )


def _kept_about(cache: Path) -> tuple[str | None, About] | None:
    try:
        kept = json.loads((cache / "about.json").read_bytes())
        return kept["build"], _read_about(json.dumps(kept["about"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # no answer yet, or not a whole one
        return None


def _about_key(found: FoundPlugin) -> str | None:
    build = build_key(found)
    if build is None and found.venv is None:
        return file_key([Path(found.command[0])])
    return build


def _keep_about(found: FoundPlugin, cache: Path, answer: About) -> None:
    able = None if answer.capabilities is None else sorted(answer.capabilities)
    kept = {"build": _about_key(found), "about": {"capabilities": able, "settings": answer.settings}}
    write_atomic(cache / "about.json", json.dumps(kept).encode())


def _ask(
    found: FoundPlugin, question: Sequence[str], env: Mapping[str, str], timeout_s: float
) -> tuple[int, str, list[str]]:
    """Run a plugin with `question`; its exit code, its stdout, the last lines of its stderr."""
    reading, writing = os.pipe()
    answer = bytearray()

    def listen() -> None:
        with open(reading, "rb") as pipe:  # once closed, a tap that sends its data instead ends by itself
            while len(answer) < _MAX_ANSWER_BYTES and (block := pipe.read1(65536)):
                answer.extend(block)

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    with open(writing, "wb") as output:
        try:
            code, tail = run_quietly(
                [*found.command, *question], env=env, relay=logger.debug, stdout=output, timeout_s=timeout_s
            )
        except OSError as exc:
            raise found.unstartable(exc) from exc
    listening.join(_LINGER_S)  # a process that it left behind may hold the pipe
    return code, bytes(answer).decode(errors="replace"), tail
