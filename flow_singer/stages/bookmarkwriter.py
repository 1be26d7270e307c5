"""Write the bookmark: the newest STATE that a target prints on its stdout. What else it prints is log output."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable

import msgspec

from flow_singer.errors import FlowError, TargetError
from flow_singer.process.pipes import read_blocks
from flow_singer.process.processes import Process, ended_silently
from flow_singer.state.documents import StateStore, is_empty

logger = logging.getLogger(__name__)


class BookmarkWriter:
    """Takes what a target prints, and writes the newest STATE of it as the bookmark, durably.

    A target may print faster than bookmarks can be kept: of what has come meanwhile, only the newest counts.

    Args:
        state_id: the bookmark's name; None keeps none.
        store: where it lies.
        merge: whether the streams it does not name keep theirs (after a full refresh).
        noise: gets each line that is no STATE.

    Attributes:
        count: how often the bookmark moved.
        frozen: set to True, nothing that comes from then on counts.
    """

    def __init__(
        self,
        state_id: str | None,
        store: StateStore | None,
        *,
        merge: bool = False,
        noise: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.count = 0
        self.frozen = False
        self._state_id = state_id
        self._store = store
        self._merge = merge
        self._noise = noise
        self._sent_keys: set[str] = set()
        self._rest = b""
        self._error: BaseException | None = None

    def read(self, process: Process) -> None:
        """Take everything a target prints, until it has ended; runs in a thread of its own.

        Where a bookmark cannot be kept, what follows is still read: a target that cannot print would
        stop reading too, and nobody would learn of it. `check` tells.
        """
        # A process that the target has started may hold the pipe open for ever.
        for block in read_blocks(process.stdout, idle=ended_silently(process)):
            self._guard(self.push, block)
        self._guard(self.finish)

    def check(self) -> None:
        """Make sure that every bookmark so far was kept.

        Raises:
            TargetError: one was not.
        """
        if (error := self._error) is None:
            return
        reason, hint = (error.message, error.hint) if isinstance(error, FlowError) else (_reason(error), None)
        raise TargetError(
            f"The bookmark {self._state_id} could not be kept: {reason.rstrip('.')}.",
            hint or "Mend that and run again: it resumes from the bookmark before; some records come twice.",
        ) from error

    def push(self, block: bytes) -> None:
        """Take a block of what the target printed; the last STATE in it is the bookmark on return."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        self._keep(lines)

    def finish(self) -> None:
        """Take the last line, where it lacked its newline."""
        self._keep([self._rest])
        self._rest = b""

    def expect(self, line: bytes) -> None:
        """Learn of a STATE message that goes to the target; before the first one it can confirm none."""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._sent_keys |= _state_decoder.decode(line).value.keys()

    def _is_state(self, line: bytes) -> bool:
        """Whether a line of a target is a STATE value: a JSON object that has a key of one that was sent.

        It need not equal one that was sent, as targets may advance it stream by stream. A log record in JSON,
        or a message that is echoed by something that is no target, has none of these keys.
        """
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return isinstance(value, dict) and not is_empty(line) and not self._sent_keys.isdisjoint(value)

    def _guard(self, step: Callable[..., None], *arguments: bytes) -> None:
        if self._error is not None:
            return
        try:
            step(*arguments)
        except BaseException as exc:  # told to the thread that can end the run
            self._error = exc

    def _keep(self, lines: list[bytes]) -> None:
        newest = None
        for line in lines:
            if not line.strip():
                continue
            if self._is_state(line):
                newest = line.strip()
            else:
                self._noise(line[:_MOST_NOISE_BYTES].decode("utf-8", "replace"))
        if newest is None or self.frozen or self._store is None or self._state_id is None:
            return
        keep = self._store.merge_partial if self._merge else self._store.set
        self.count += keep(self._state_id, newest)


_MOST_NOISE_BYTES = 1 << 16


class _State(msgspec.Struct):
    value: dict[str, msgspec.Raw]


_state_decoder = msgspec.json.Decoder(_State)


def _reason(error: BaseException) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
