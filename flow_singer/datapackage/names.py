"""Names of packages, resources, files and columns that every reader and file system takes.

Source: Data Package v2, "name"; the reserved names of Windows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container

MAX_CHARACTERS = 80
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def slug(name: str, taken: Container[str] = (), *, default: str = "stream") -> str:
    """A lower-case name of `a-z`, `0-9`, `-`, `_` and `.` that resembles `name`.

    Args:
        name: any text.
        taken: slugs it must differ from.
        default: what is used where nothing of `name` is left.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _free(re.sub(r"[^a-z0-9._]+", "-", plain), taken, default)


def file_stem(name: str, taken: Container[str] = ()) -> str:
    """A file name without its extension, as near to `name` as file systems allow.

    Args:
        name: any text.
        taken: names in lower case that it must differ from in more than case.
    """
    return _free(re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]+', "-", name), taken, "stream")


def _free(text: str, taken: Container[str], default: str) -> str:
    text = text[:MAX_CHARACTERS].strip("-. ") or default
    if _RESERVED.fullmatch(text):
        text = f"{default}-{text}"
    free, number = text, 2
    while free.lower() in taken:
        free, number = f"{text}-{number}", number + 1
    return free


def column_name(name: str, taken: Container[str]) -> str:
    """The name of a property as a column: itself, but for names that Table Schema or its readers refuse."""
    text = name.strip() or "unnamed"  # readers strip the names in a header
    free, number = text, 2
    while free in taken:
        free, number = f"{text}-{number}", number + 1
    return free
