"""Whole lines out of blocks that end anywhere."""

from __future__ import annotations


class LineSplitter:
    """Turns blocks of any size into blocks of whole lines, in linear time for lines of any length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def push(self, block: bytes) -> bytes:
        """Return the whole lines known so far, each with its newline; keep the rest."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._parts.append(block)
            return b""
        if not self._parts:
            whole = block if end == len(block) else block[:end]
        else:
            whole = b"".join([*self._parts, memoryview(block)[:end]])
            self._parts.clear()
        if end < len(block):
            self._parts.append(block[end:])
        return whole

    def rest(self) -> bytes:
        """Return what follows the last newline, and forget it."""
        rest = b"".join(self._parts)
        self._parts.clear()
        return rest
