"""What a word that names data looks like: a path, a glob or an address, and the format that its name tells."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath
from typing import Literal

FileFormat = Literal["csv", "jsonl", "json", "parquet", "xlsx"]

FORMATS: dict[str, FileFormat] = {
    "csv": "csv",
    "tsv": "csv",
    "tab": "csv",
    "txt": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "jsonlines": "jsonl",
    "json": "json",
    "parquet": "parquet",
    "pq": "parquet",
    "xlsx": "xlsx",
}
"""By the ending of a file's name."""

DESCRIPTOR = "datapackage.json"
GLOB = frozenset("*?[")
_PACKED = ".gz"
_PROTOCOL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(word: str) -> bool:
    """Whether it is the address of a server."""
    return word.lower().startswith(("http://", "https://"))


def is_store(word: str) -> bool:
    """Whether it is an address in an object store, or of another kind that fsspec knows: `s3://bucket/logs/*.csv`."""
    return _PROTOCOL.match(word) is not None and not is_url(word)


def format_of(path: str) -> tuple[FileFormat | None, bool]:
    """The format of a file by its name, None where the name does not tell, and whether it is packed."""
    name = PurePosixPath(path.partition("?")[0] if is_url(path) else path).name.lower()
    is_packed = name.endswith(_PACKED)
    name = name.removesuffix(_PACKED)
    return FORMATS.get(name.rpartition(".")[2]) if "." in name else None, is_packed


def is_place(word: str) -> bool:
    """Whether a word that stands where a tap may means data: by its form, or as it is a folder that is there."""
    if is_url(word) or is_store(word) or word.endswith("/") or GLOB & set(word):
        return True
    if format_of(word)[0] is not None or word.lower().endswith(".zip"):
        return True
    return "/" in word and os.path.isdir(word)
