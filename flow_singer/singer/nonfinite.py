"""NaN and Infinity in lines that nobody decodes: null in their place, all else byte for byte."""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b')


def without_nan(lines: bytes) -> bytes:
    """Lines of JSON, with null for each NaN, Infinity and -Infinity that does not stand in a text.

    Python writes and reads these tokens, JSON has none of them.
    """
    if b"NaN" not in lines and b"Infinity" not in lines:
        return lines
    return b"\n".join(map(_without_nan, lines.split(b"\n")))


def _without_nan(line: bytes) -> bytes:
    if b"NaN" not in line and b"Infinity" not in line:
        return line
    return _TOKEN.sub(lambda found: found[0] if found[0].startswith(b'"') else b"null", line)
