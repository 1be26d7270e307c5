"""What a descriptor promises of its files, and whether they keep it.

Source: Data Package v2, `bytes` and `hash`: a digest after the name of its algorithm, md5 where there is no name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from flow_singer.errors import DataError
from flow_singer.reading.resourcedescription import Part

_BLOCK_BYTES = 1 << 20
_HINT = "Get or write the package again; or read it as it is, with 'trust'."


def check_file(part: Part, file: Path, title: str, *, trust: bool, notice: Callable[[str], None]) -> bool:
    """Compare a file with the size and the digest that were promised.

    Returns:
        Whether its content is known to be what was promised.

    Raises:
        DataError: they differ, and nobody said to go on.
    """
    size = file.stat().st_size
    if part.size_bytes is not None and size != part.size_bytes:
        _broken(f"{title} has {size} bytes; its descriptor says {part.size_bytes}", trust, notice)
        return False
    if part.hash is None:
        return False
    name, _, digest = part.hash.rpartition(":")
    try:
        found = hashlib.new(name or "md5", usedforsecurity=False)
        as_git = hashlib.new(name or "md5", f"blob {size}\0".encode(), usedforsecurity=False)
    except ValueError:
        notice(f"the {name} digest of {title} is not checked: Python does not know that algorithm.")
        return False
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            found.update(block)
            if name == "sha1":  # as git has it, for files that were published from a repository
                as_git.update(block)
    if digest.lower() not in (found.hexdigest(), as_git.hexdigest() if name == "sha1" else ""):
        _broken(
            f"The content of {title} is not what its descriptor says: its {name or 'md5'} digest is another",
            trust,
            notice,
        )
        return False
    return True


def check_rows(
    promised: int | None, found: int, title: str, *, trust: bool, notice: Callable[[str], None]
) -> None:
    """Compare how many rows there were with how many were promised.

    Raises:
        DataError: they differ, and nobody said to go on.
    """
    if promised is not None and found != promised:
        _broken(f"{title} has {found} rows; its descriptor says {promised}", trust, notice)


def _broken(what: str, trust: bool, notice: Callable[[str], None]) -> None:
    if not trust:
        raise DataError(f"{what}.", _HINT)
    notice(f"{what}.")
