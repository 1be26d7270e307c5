"""Find the secrets in a plugin's configuration and keep them out of logs and errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from flow_singer.variables import path_parts

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:tokens?|password|passwd|pwd|passphrase|secrets?|credentials?|dsn|key|keys|auth|salt"
    r"|connection_string|sqlalchemy_url|database_uri|apikey|accesskey|privatekey)(?:_(?:json|id|value|base64|pem))?$"
)
_PUBLIC_NAME = re.compile(
    r"(?:replication|primary|partition|sort|foreign|natural|surrogate|hash|cluster|object|s3)_keys?$"
)
_URL_PASSWORD = re.compile(r"://[^/@:\s]*:([^@/\s]+)@")
_MASK_LENGTH = 4  # shorter values ("1", "id") stand in every other line of a log


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret in `text` by `***`; those shorter than 4 characters are left alone."""
    pattern = _mask_pattern(frozenset(secrets))
    return pattern.sub("***", text) if pattern else text


@lru_cache(maxsize=32)
def _mask_pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    known = sorted((secret for secret in secrets if len(secret) >= _MASK_LENGTH), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known))) if known else None


def looks_secret(path: str) -> bool:
    """Whether a part of a dotted path is named like a secret: token, password, api_key, clientSecret."""
    words = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])|\W", "_", part).lower() for part in path_parts(path)]
    return any(_SECRET_NAME.search(word) and not _PUBLIC_NAME.search(word) for word in words)


def find_secrets(config: Mapping[str, Any], sensitive: Collection[str] = ()) -> frozenset[str]:
    """Collect the values under sensitive settings and secret-looking keys, and the passwords inside URLs.

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
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, path, hidden)
        elif isinstance(value, str):
            yield from _URL_PASSWORD.findall(value)
            if hidden and value:
                yield value
                # Logs are masked line by line, and JSON escapes the line ends of a private key.
                yield from (line for line in map(str.strip, value.splitlines()) if len(line) >= 8)
        elif hidden and isinstance(value, (int, float)) and not isinstance(value, bool):
            yield str(value)

    return frozenset(walk(config, "", False))
