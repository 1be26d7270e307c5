"""Find the secrets in a plugin's configuration and keep them out of logs and errors."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from flow_singer.project.spellings import Spellings
from flow_singer.project.variables import path_parts

_SECRET_NAME = re.compile(
    # words that are nothing else, even glued to another: dbpassword
    r"(?:password|passwd|passphrase|passcode|token|secret|credential|signature|apikey|accesskey|privatekey)s?"
    r"(?:_(?:json|id|value|base64|b64|pem|text|string|data|contents?|header|url))?$"
    r"|(?:^|_)(?:pwd|pass|pin|dsn|keys?|auth|authorization|bearer|jwt|cookies?|sig|salt|webhook"
    r"|connection_string|conn_string|sqlalchemy_url|database_uri)"
    r"(?:_(?:json|id|value|base64|b64|pem|text|string|data|contents?|header|url))?$"
)
_PUBLIC_NAME = re.compile(
    r"(?:replication|primary|partition|sort|foreign|natural|surrogate|hash|cluster|object|s3|join|unique|merge"
    r"|cursor|upsert)_keys?$|(?:^|_)(?:max|min|num|total)_tokens?$"
    r"|(?:token|auth|authorization)_url$"  # where a token is asked for
)
_URL_PASSWORDS = (  # what should stand quoted in a URL may stand there as it is
    re.compile(r"://[^/@:\s]*:([^@/\s]+)@"),
    re.compile(r"://[^/@:\s]*:(\S+)@"),
    re.compile(r"://([^/@:\s]{20,})(?::[^@/\s]*)?@"),  # https://TOKEN@host/...
)
# password=x&... of a URL, Password={x};... of ODBC, password='x' ... of libpq, name=x; ... of a cookie
_PAIR = re.compile(
    r"(?:^|[?&;,#\s])\s*([A-Za-z][\w .-]*?)\s*=\s*(\{(?:[^}]|\}\})*\}|'(?:\\.|''|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^&;\s]+)"
)
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|bot|api-?key|key|splunk|oauth)\s+(\S+)$")
_MASK_LENGTH = 4  # shorter values ("1", "id") stand in every other line of a log


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret in `text`, however it is spelt, by `***`.

    Those shorter than 4 characters are left alone. A log is masked line by line: what does not stand in a line
    costs some microseconds for 20 secrets.
    """
    return _spellings(frozenset(secrets)).replace(text, "***")


_known: set[str] = set()


def remember(secrets: Iterable[str]) -> None:
    """Have `mask_known` mask these for the rest of this process."""
    _known.update(secrets)


def mask_known(text: str) -> str:
    """Mask every secret that this process was given: for its log, its tracebacks and its last word."""
    return mask(text, _known)


@lru_cache(maxsize=32)
def _spellings(secrets: frozenset[str]) -> Spellings:
    known = (secret for secret in secrets if len(secret.strip()) >= _MASK_LENGTH)
    return Spellings(sorted(known, key=len, reverse=True))


def looks_secret(path: str) -> bool:
    """Whether a part of a dotted path is named like a secret: token, password, api_key, clientSecret."""
    return any(_is_secret_name(part) for part in path_parts(path))


def _is_secret_name(name: str) -> bool:
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|\W", "_", name).lower()
    return _SECRET_NAME.search(word) is not None and _PUBLIC_NAME.search(word) is None


def find_secrets(config: Mapping[str, Any], sensitive: Collection[str] = ()) -> frozenset[str]:
    """Collect the values under sensitive settings and secret-looking keys, and what is secret inside texts.

    Inside texts are: passwords in URLs and connection strings, what follows `Bearer`, the secret-looking values
    of JSON that is written as text.

    Args:
        config: nested configuration.
        sensitive: dotted paths that are declared secret, whatever their names.
    """

    def walk(value: Any, path: str, hidden: bool) -> Iterator[str]:
        hidden = hidden or path in sensitive or bool(path and looks_secret(path))
        if isinstance(value, Mapping):
            for key, item in value.items():
                escaped = str(key).replace(".", "\\.")
                yield from walk(item, f"{path}.{escaped}" if path else escaped, hidden)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from walk(item, path, hidden)
        elif isinstance(value, (bytes, bytearray)):
            # latin-1 keeps each byte, so that base64 of the bytes is known too
            yield from walk(value.decode("latin-1"), path, hidden)
            yield from walk(value.decode("utf-8", "replace"), path, hidden)
        elif isinstance(value, str):
            yield from _in_text(value)
            if hidden and value:
                yield from _of_secret(value)
        elif hidden and value is not None and not isinstance(value, bool):
            yield str(value)

    return frozenset(walk(config, "", False))


def _in_text(text: str) -> Iterator[str]:
    """Yield the secrets that a text of any setting may hold."""
    for pattern in _URL_PASSWORDS:
        for password in pattern.findall(text):
            yield from {password, unquote(password)}
    for name, value in _PAIR.findall(text):
        if _is_secret_name(name.strip()):
            bare = value[1:-1] if value[0] in "{'\"" and len(value) > 1 else value
            yield from {value, bare, unquote(bare), bare.replace("}}", "}"), re.sub(r"\\(.)", r"\1", bare)}
    document = _json(text)
    if isinstance(document, Mapping):
        yield from find_secrets(document)


def _of_secret(text: str) -> Iterator[str]:
    """Yield a secret, and those parts of it that may be printed by themselves."""
    yield text
    document = _json(text)
    if isinstance(document, list):
        yield from find_secrets({"secret": document})
    elif isinstance(document, Mapping):
        # The names tell which of its values are secret; where none does, all may be.
        yield from () if find_secrets(document) else find_secrets({"secret": document})
    else:
        # Logs are masked line by line, and JSON escapes the line ends of a private key.
        lines = [line.strip() for line in re.split(r"[\r\n]+|\\n", text)]
        if len(lines) > 1:
            yield from (line for line in lines if len(line) >= _MASK_LENGTH)
    scheme = _SCHEME.match(text)
    if scheme:
        yield scheme[1]
    inside = _decoded(scheme[1] if scheme else text)
    if inside is not None:
        yield from find_secrets({"secret": inside} if inside.lstrip().startswith("{") else {"user": inside})
        if scheme and ":" in inside:  # Basic auth
            yield inside.partition(":")[2]


def _json(text: str) -> Any:
    """Return the object or list that a text holds; None where it holds none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _decoded(text: str) -> str | None:
    """Return the text that a text is the base64 of; None where it is none."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return None
