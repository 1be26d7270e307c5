"""The message stream on stdin: begun, its marks taken off, its end checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from flow_singer.errors import IncompleteError, MessageError
from flow_singer.process.pipes import read_blocks
from flow_singer.singer.badlines import CutLineError
from flow_singer.singer.linebegins import OtherLines, other_lines
from flow_singer.singer.marks import Header, Trailer, check_complete, cut_short, split_mark
from flow_singer.singer.messages import MessageReader, Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadOptions:
    """What a person asks of one load.

    Attributes:
        on_incomplete: whether the target may commit what came of a stream that was cut short; None: unless
            it replaces what was there before.
        require_end: whether a stream without marks is refused.
        allow_empty: whether no input at all is fine.
        forward_noise: send lines that are no messages to stderr.
        nan: null writes null for NaN and Infinity.
        reject: file for what cannot be used; None stops at the first.
        max_rejects: how many may be set aside.
    """

    on_incomplete: Literal["commit", "abort"] | None = None
    require_end: bool = False
    allow_empty: bool = False
    forward_noise: bool = False
    nan: Literal["error", "null"] = "error"
    reject: Path | None = None
    max_rejects: int | None = None


class InputStream:
    """The message stream on stdin: its marks taken off, its end checked.

    Args:
        descriptor: what to read.
        options: what is asked.
        wanted: see [`MessageReader`][flow_singer.singer.messages.MessageReader]; the caller decodes their records.
        find_other_lines: likewise.
        reject: likewise; without it, and where `options` ask for rejects, lines that are no messages are passed
            on, for a target that sets them aside itself.

    Attributes:
        header: the mark it began with, known after `begin`.
        trailer: the mark it ended with.
        streams: names of those that had a SCHEMA, in order.
    """

    def __init__(
        self,
        descriptor: int,
        options: LoadOptions,
        *,
        wanted: Container[str] = (),
        find_other_lines: OtherLines = other_lines,
        reject: Callable[[int, bytes, MessageError], None] | None = None,
    ) -> None:
        self.header: Header | None = None
        self.trailer: Trailer | None = None
        self.streams: dict[str, None] = {}
        self._options = options
        self._bad: list[Run] = []
        if reject is None and options.reject is not None:
            reject = self._pass_on
        self.reader = MessageReader(
            wanted,
            reject=reject,
            noise=_show_noise if options.forward_noise else None,
            decodes=True,
            find_other_lines=find_other_lines,
        )
        self._descriptor = descriptor
        self._first: Iterator[Run] = iter(())
        self._last_type = ""
        self._cut: str | None = None

    def begin(self) -> None:
        """Read until the first message, which says where the stream comes from.

        Raises:
            IncompleteError: there is no message at all.
        """
        for block in read_blocks(self._descriptor):
            if self._has_begun(self.reader.push(block)):
                return
        has_begun = self._has_begun(self._last_run())
        if self._cut and not has_begun:
            raise _incomplete(self._cut)
        if not has_begun and not self._options.allow_empty:
            raise IncompleteError(
                "Nothing came on stdin: the stage before failed at its start, or had nothing to say.",
                "Look at its messages above. If an empty stream is fine: --allow-empty.",
            )

    def _has_begun(self, raw_runs: Iterator[Run]) -> bool:
        """Take the first message; the others wait for `runs`, so that a bad line among them raises only there."""
        unmarked = self._unmarked(raw_runs)
        for first in unmarked:
            self._first = chain([first], unmarked)
            return True
        return self.trailer is not None

    def runs(
        self, *, watch: int | None = None, idle: Callable[[], bool | None] | None = None
    ) -> Iterator[Run]:
        """Yield the messages without marks; call `begin` before.

        Args:
            watch, idle: see [`read_blocks`][flow_singer.process.pipes.read_blocks].
        """
        yield from self._first
        for block in read_blocks(self._descriptor, watch=watch, idle=idle):
            yield from self._unmarked(self.reader.push(block))
        yield from self._unmarked(self._last_run())

    def _unmarked(self, raw_runs: Iterator[Run]) -> Iterator[Run]:
        """Runs without marks, and in their places the bad lines that are passed on."""
        for raw in raw_runs:
            yield from self._taken_bad()
            if (run := self._unmark(raw)) is not None:
                yield run
        yield from self._taken_bad()

    def _pass_on(self, number: int, line: bytes, _: MessageError) -> None:
        self._bad.append(Run("", None, line + b"\n", [(number, 1)]))

    def _taken_bad(self) -> list[Run]:
        bad, self._bad = self._bad, []
        return bad

    def _last_run(self) -> Iterator[Run]:
        """The last line, where it lacks its newline; one that was cut short is told of by `check_end`."""
        try:
            yield from self.reader.finish()
        except CutLineError as error:
            if self.trailer is not None:
                raise
            self._cut = cut_short(error.line)

    def _unmark(self, run: Run) -> Run | None:
        """A run without its mark; None for the copy of a message that only carries the mark at the end."""
        before, self._last_type = self._last_type, run.type
        if run.type == "SCHEMA" and run.stream is not None:
            self.streams[run.stream] = None
        if run.type not in ("SCHEMA", "STATE") or b'"_flow"' not in run.data:
            return run
        line, mark = split_mark(run.data[:-1])
        if isinstance(mark, Header):
            self.header = mark
        if isinstance(mark, Trailer):
            self.trailer = mark
            # It comes on a copy of the last STATE. Where records came after that STATE, the copy goes on: some
            # targets forget a STATE when a record follows it, and would never print it.
            if not mark.ok or run.type != "STATE" or before == "STATE":
                return None
        return run._replace(data=line + b"\n")

    def check_end(self) -> None:
        """Make sure that the stream came to its proper end.

        Raises:
            IncompleteError: it did not, or nobody can tell and `require_end` asks for proof.
        """
        lines = self.reader.line_number - (self.trailer is not None)
        reason = check_complete(self.header, self.trailer, lines, self.reader.records)
        if (reason := reason or self._cut) is not None:
            error = _incomplete(reason)
            if self.trailer is not None:
                error.exit_code = self.trailer.exit_code
            raise error
        if self.header is None and self.trailer is None and self.reader.line_number:
            if self._options.require_end:
                raise IncompleteError(
                    "The stream bears no marks, so nobody can tell whether it is complete.",
                    "Make it with flow run TAP, or leave out --require-end.",
                )
            logger.warning(
                "This stream bears no marks (its producer is not Flow, or runs with --plain): its end is "
                "taken for complete. --require-end refuses such streams."
            )


def _show_noise(line: bytes) -> None:
    logger.warning("stdin: %s", line.decode("utf-8", "replace"))


def _incomplete(reason: str) -> IncompleteError:
    return IncompleteError(
        f"The stream is incomplete: {reason.removesuffix('.')}.",
        "Mend the stage that failed and run again; it resumes from the last safe bookmark. (A foreign "
        "mapper between Flow's stages may have taken the end mark away: run the tap with --plain.)",
    )
