"""The marks that prove a stream's end: read, made, checked, and written around the messages.

They are Flow's own; see `docs/concepts/marks.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from flow_singer.errors import EXIT_INCOMPLETE, EXIT_USAGE
from flow_singer.wording import count_of

MARK_VERSION = 1
_MARK = re.compile(rb',\s*"_flow"\s*:\s*')


@dataclass(frozen=True)
class Header:
    """The mark on the first SCHEMA: who made this stream.

    Attributes:
        run: the id of the run.
        tap: the tap's name.
        environment: the project's environment.
        state_id: the bookmark the tap resumed from, or None where it began at the beginning.
        resumed: streams that this run continues; whole-stream functions see only their increment.
        full_refresh: whether the bookmark was left aside on purpose.
        state_digest: tells the STATE that it resumed from, where a Data Package keeps that: its rows may only be
            added to a package that still keeps this one.
    """

    run: str
    tap: str | None = None
    environment: str | None = None
    state_id: str | None = None
    resumed: tuple[str, ...] = ()
    full_refresh: bool = False
    state_digest: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The mark as a JSON object; empty fields are left out."""
        fields = {
            "tap": self.tap,
            "env": self.environment,
            "state_id": self.state_id,
            "resumed": list(self.resumed),
            "full_refresh": self.full_refresh,
            "state_digest": self.state_digest,
        }
        return {"v": MARK_VERSION, "run": self.run, **{k: v for k, v in fields.items() if v}}


@dataclass(frozen=True)
class Trailer:
    """The mark on the repeated last STATE (or SCHEMA): how this stream ended.

    Attributes:
        run: the id of the run.
        ok: whether everything was sent.
        code: the exit code behind it.
        lines: how many lines came before the trailer, header included.
        records: how many records each stream had.
        reason: one sentence where `ok` is false.
    """

    run: str
    ok: bool
    code: int = 0
    lines: int = 0
    records: dict[str, int] | None = None
    reason: str | None = None

    @property
    def exit_code(self) -> int:
        """By which the next stage ends where this one failed: a mistake stays one, else it may be tried again."""
        return EXIT_USAGE if self.code == EXIT_USAGE else EXIT_INCOMPLETE

    def to_json(self) -> dict[str, Any]:
        """The mark as a JSON object; empty fields are left out."""
        mark: dict[str, Any] = {
            "v": MARK_VERSION,
            "run": self.run,
            "end": "ok" if self.ok else "failed",
            "code": self.code,
            "lines": self.lines,
        }
        if self.records is not None:
            mark["records"] = self.records
        if self.reason:
            mark["reason"] = self.reason
        return mark


def add_mark(line: bytes, mark: Header | Trailer) -> bytes:
    """Splice a mark into a message line (without newline); all other bytes stay as they are."""
    body = line.rstrip()
    encoded = msgspec.json.encode(mark.to_json())
    return body[:-1] + b',"_flow":' + encoded + b"}"


def split_mark(line: bytes) -> tuple[bytes, Header | Trailer | None]:
    """Take the mark off a message line.

    Returns:
        The line as it was before `add_mark`, and the mark; the line itself and None where it has none
        or one that this version does not know.
    """
    if b'"_flow"' not in line:
        return line, None
    body = line.rstrip()
    if marks := list(_MARK.finditer(body)):
        found = marks[-1]
        try:
            mark = msgspec.json.decode(body[found.end() : -1])
        except msgspec.DecodeError:
            mark = None
        if isinstance(mark, dict):
            return body[: found.start()] + b"}", _mark_from(mark)
    # Re-encoded by a foreign mapper with its keys in another order.
    try:
        message = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line, None
    if not isinstance(message, dict) or not isinstance(mark := message.pop("_flow", None), dict):
        return line, None
    return msgspec.json.encode(message), _mark_from(mark)


def _mark_from(mark: dict[str, Any]) -> Header | Trailer | None:
    if mark.get("v") != MARK_VERSION:
        return None
    if "end" in mark:
        return Trailer(
            str(mark.get("run")),
            mark["end"] == "ok",
            int(mark.get("code", 0)),
            int(mark.get("lines", 0)),
            mark.get("records"),
            mark.get("reason"),
        )
    return Header(
        str(mark.get("run")),
        mark.get("tap"),
        mark.get("env"),
        mark.get("state_id"),
        tuple(mark.get("resumed", ())),
        bool(mark.get("full_refresh")),
        mark.get("state_digest"),
    )


class MessageWriter:
    """Writes messages, counts them, and frames them with marks.

    Args:
        write: takes bytes; blocks while the reader is busy.
        header: the mark for the first SCHEMA or STATE; None writes no marks at all. May be set later, as
            long as nothing was written.
        before_state: called before each STATE, to make durable what it covers.
    """

    def __init__(
        self,
        write: Callable[[bytes | memoryview], object],
        header: Header | None = None,
        *,
        before_state: Callable[[], None] | None = None,
    ) -> None:
        self.header = header
        self.lines = 0
        self.records: dict[str, int] = {}
        self.counts_records = True
        """Whether the trailer says how many records each stream had: False where the reader counts otherwise."""
        self._write = write
        self._before_state = before_state
        self._header_sent = False
        self._is_torn = False
        self._last_schema: bytes | None = None
        self._last_state: bytes | None = None

    def schema(self, line: bytes) -> None:
        """Write a SCHEMA line (without newline)."""
        self._last_schema = line
        self._marked(line)

    def state(self, line: bytes) -> None:
        """Write a STATE line (without newline), byte for byte."""
        if self._before_state is not None:
            self._before_state()
        self._last_state = line
        self._marked(line)

    def other(self, data: bytes, count: int) -> None:
        """Write whole lines as they are."""
        self.lines += count
        self._put(data)

    def stream_records(self, stream: str, data: bytes | memoryview, count: int) -> None:
        """Write `count` RECORD lines of a stream."""
        self.records[stream] = self.records.get(stream, 0) + count
        self.lines += count
        self._put(data)

    def finish(self, *, ok: bool, code: int = 0, reason: str | None = None) -> None:
        """Write the trailer: the last STATE (else the last SCHEMA) again, marked; targets take it as a no-op.

        Behind a line that was written in part there is no place for another: then the missing trailer
        says that the stream is cut short.
        """
        line = self._last_state or self._last_schema
        if self.header is None or line is None or self._is_torn:
            return
        trailer = Trailer(
            self.header.run, ok, code, self.lines, self.records if self.counts_records else None, reason
        )
        self._put(add_mark(line, trailer) + b"\n")

    def _put(self, data: bytes | memoryview) -> None:
        """Write whole lines; where that is broken off, nobody knows how much of them went out."""
        self._is_torn = True
        self._write(data)
        self._is_torn = False

    def _marked(self, line: bytes) -> None:
        if self.header is not None and not self._header_sent:
            self._header_sent = True
            line = add_mark(line, self.header)
        self.lines += 1
        self._put(line + b"\n")


def cut_short(line: int) -> str:
    """Why a stream whose last line lacks its end is not complete, marked or not; `line` is its number."""
    return f"its last line ({line}) is cut short: a stage before this one was stopped in the middle of it"


def check_complete(
    header: Header | None, trailer: Trailer | None, lines: int, records: dict[str, int] | None = None
) -> str | None:
    """Say why a marked stream is not complete; None where it is, or where it bore no marks.

    Args:
        header: the mark its first line bore.
        trailer: the mark its last line bore.
        lines: how many lines were read, trailer not included.
        records: how many records of each stream were read.
    """
    if trailer is None:
        if header is None:
            return None
        return "it has a beginning but no end: a stage before this one was killed, or only part of it was passed on"
    if not trailer.ok:
        return trailer.reason or f"a stage before this one failed with exit code {trailer.code}"
    if trailer.lines != lines:
        return f"{count_of(trailer.lines, 'line was', 'lines were')} sent, {lines:,} arrived"
    if records is not None and trailer.records is not None and trailer.records != records:
        return "the records that arrived are not those that were sent"
    return None
