"""One `flow transform`: files of functions, one behind the other, between two pipes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from flow_singer.errors import FlowError, IncompleteError, TransformError
from flow_singer.process.interrupts import Interrupted
from flow_singer.process.pipes import read_blocks, write_all
from flow_singer.singer.badlines import CutLineError
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.marks import Header, MessageWriter, check_complete, cut_short
from flow_singer.singer.rejectfile import RejectFile
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.transforms.forks import owning
from flow_singer.transforms.functions import load_functions
from flow_singer.transforms.missed import describe_missed
from flow_singer.transforms.raised import readable
from flow_singer.transforms.transformer import Transformer
from flow_singer.transforms.waitingrecords import Limits
from flow_singer.wording import count_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TransformOptions:
    """What a person asks of one transform.

    Attributes:
        plain: no marks.
        limits: when batches are handed to the functions.
        reject: file for what cannot be used; None stops at the first.
        max_rejects: how many may be set aside.
        nan: what to do with NaN and Infinity.
        forward_noise: send lines that are no messages to stderr.
        strict: whether a function whose stream never came is an error; None decides it as `supervised` says.
        supervised: whether the run has one verdict for all stages. Then such a function is an error where any
            stream came; else only where no function of its file met a stream.
        debug: each function is called once for each row, so that a breakpoint is met once: no split check, and no
            search for the row that makes it fail.
        batch_paths: see [`Transformer`][flow_singer.transforms.transformer.Transformer].
    """

    plain: bool = False
    limits: Limits = field(default_factory=Limits)
    reject: Path | None = None
    max_rejects: int | None = None
    nan: Literal["error", "null"] = "error"
    forward_noise: bool = False
    strict: bool | None = None
    supervised: bool = False
    debug: bool = False
    batch_paths: BatchPaths | None = None


@dataclass
class TransformResult:
    """What came and went, in records per stream, and how many were set aside."""

    read: dict[str, int]
    written: dict[str, int]
    rejects: int = 0


def transform_stream(
    specs: Sequence[str],
    options: TransformOptions,
    *,
    source: int,
    out: int,
    parallel: ParallelDecoder | None = None,
    progress: Callable[[Transformer], None] = lambda _: None,
) -> TransformResult:
    """Run the functions of files over the stream on `source`.

    Args:
        specs: at least one `file.py` or `file.py:function`; each gets what the one before it made.
        options: what was asked.
        source: file descriptor of the messages.
        out: file descriptor that gets the messages.
        parallel: decodes for the first file.
        progress: called after each block.

    Raises:
        TransformError, MessageError, RecordError: a file, a line, a record, a function's result.
        IncompleteError: the stream was cut short.
        BrokenPipeError: the reader is gone.
    """
    with owning(source, out):
        return _transform(specs, options, source, out, parallel, progress)


def _transform(
    specs: Sequence[str],
    options: TransformOptions,
    source: int,
    out: int,
    parallel: ParallelDecoder | None,
    progress: Callable[[Transformer], None],
) -> TransformResult:
    functions = [load_functions(spec) for spec in specs]
    if options.debug:
        functions = [[replace(one, once=True, check_split=False) for one in found] for found in functions]
    rejects = None if options.reject is None else RejectFile(options.reject, options.max_rejects)
    header = None if options.plain else Header(uuid.uuid4().hex)
    last_out = MessageWriter(
        lambda data: write_all(out, data), header, before_state=rejects.sync if rejects else None
    )
    chain = _Chain()
    for found in reversed(functions):
        writer = chain.writer_into_head() or last_out
        chain.add_first(
            Transformer(
                found,
                writer,
                limits=options.limits,
                reject=rejects.add if rejects else None,
                noise=_warn_of_noise if options.forward_noise else None,
                nan=options.nan,
                batch_paths=options.batch_paths,
                parallel=parallel if found is functions[0] else ParallelDecoder(processes=1),
            ),
            writer,
        )
    first = chain.transformers[0]
    try:
        for block in read_blocks(source, watch=out, idle=chain.tick):
            chain.push(block)
            chain.tick()
            progress(first)
        chain.finish(options)
    except FlowError as error:
        chain.fail(error.exit_code, error.message)
        raise
    except Interrupted as interrupted:
        chain.fail(interrupted.exit_code, f"flow transform was stopped by {interrupted}")
        raise
    finally:
        chain.close()
        if rejects is not None:
            rejects.close()
    return TransformResult(dict(first.records_read), dict(last_out.records), rejects.count if rejects else 0)


def _warn_of_noise(line: bytes) -> None:
    logger.warning("stdin: %s", line.decode("utf-8", "replace"))


_TICK_S = 0.4


class _Chain:
    """Transformers, each writing into the next; the last one writes out."""

    def __init__(self) -> None:
        self.transformers: list[Transformer] = []
        self._writers: list[MessageWriter] = []
        self._ticked = time.monotonic()

    def add_first(self, transformer: Transformer, writer: MessageWriter) -> None:
        self.transformers.insert(0, transformer)
        self._writers.insert(0, writer)

    def writer_into_head(self) -> MessageWriter | None:
        """A writer whose messages the first transformer reads; None while there is none."""
        if not self.transformers:
            return None
        head = self.transformers[0]
        return MessageWriter(lambda data: head.push(bytes(data)), Header(uuid.uuid4().hex))

    def push(self, block: bytes) -> None:
        """Take the next bytes of the stream."""
        self.transformers[0].push(block)

    def tick(self) -> bool:
        """Let buffers go that have waited too long, at most twice a second; never asks to stop reading."""
        now = time.monotonic()
        if now - self._ticked >= _TICK_S:
            self._ticked = now
            for transformer in self.transformers:
                transformer.tick()
            self._tell_kept("wait for the end")
        return False

    def _tell_kept(self, doing: str) -> None:
        """Show that rows which wait for all others come in, and that a function works on them."""
        kept = [transformer.waiting.kept_rows for transformer in self.transformers]
        rows, on_disk = (sum(numbers) for numbers in zip(*kept, strict=True))
        if rows:
            place = f" ({on_disk / 1e6:,.1f} MB on disk)" if on_disk else ""
            logger.info("%s %s%s", count_of(rows, "row"), doing, place, extra={"activity": "live"})

    def finish(self, options: TransformOptions) -> None:
        """End each in turn, so that what one holds back still goes through the next.

        Raises:
            IncompleteError: the stream was cut short; what is safe to write was written.
            TransformError: a function whose stream never came stops the run; what waited was not written.
        """
        reason = None
        absent: set[str] = set()
        for position, (transformer, writer) in enumerate(zip(self.transformers, self._writers, strict=True)):
            cut = _read_rest(transformer)
            if position == 0:
                reason = (
                    check_complete(
                        transformer.header,
                        transformer.trailer,
                        transformer.lines_read,
                        transformer.record_lines,
                    )
                    or cut
                )
                if transformer.header is None and transformer.trailer is None and transformer.lines_read:
                    logger.warning(
                        "This stream bears no marks (its producer is not Flow, or runs with --plain): "
                        "its end is taken for complete."
                    )
            absent |= _absent(transformer, absent)
            _report_missed(transformer, absent, options, is_complete=reason is None)
            self._tell_kept("go to their functions")
            transformer.finish(complete=reason is None)
            logger.info("", extra={"activity": "live"})
            for notice in transformer.notices:
                logger.warning("%s", notice)
            writer.records = transformer.records_written
            if position < len(self.transformers) - 1:
                writer.finish(ok=reason is None, code=75 if reason else 0, reason=reason)
        if reason is not None:
            error = IncompleteError(
                f"The stream is incomplete: {reason.removesuffix('.')}.",
                "Mend the stage before this one and run again.",
            )
            if (trailer := self.transformers[0].trailer) is not None:
                error.exit_code = trailer.exit_code
            raise error
        if self._writers[-1].lines or self.transformers[0].lines_read:
            self._writers[-1].finish(ok=True)

    def close(self) -> None:
        """End what works behind the scenes."""
        for transformer in self.transformers:
            transformer.close()

    def fail(self, code: int, reason: str) -> None:
        """Tell the next stage that this stream is cut short, if it still listens."""
        try:
            self._writers[-1].finish(ok=False, code=code, reason=readable(reason))
        except OSError:
            logger.debug("The next stage is gone too.")


def _read_rest(transformer: Transformer) -> str | None:
    """Take the last line; say why the stream is incomplete where that was cut short."""
    try:
        transformer.read_rest()
    except CutLineError as error:
        if transformer.trailer is not None:
            raise
        return cut_short(error.line)
    return None


def _absent(transformer: Transformer, before: Collection[str]) -> set[str]:
    """Streams that may stay away: those that the run continues, which may bring nothing new, and what is made of them."""
    header = transformer.header
    absent = {*before, *(header.resumed if header else ())}
    for function in transformer.functions:
        if any(map(function.takes, absent)):
            absent |= set(function.into or ())
    return absent


def _report_missed(
    transformer: Transformer, absent: Collection[str], options: TransformOptions, *, is_complete: bool
) -> None:
    """Warn of functions whose stream never came, or refuse them."""
    functions, met = transformer.functions, transformer.streams_met
    missed = transformer.unused_functions(absent)
    if not missed or not (met or transformer.header):  # of no input at all the next stage tells
        return
    stops = options.strict
    if stops is None:
        stops = bool(met) and (options.supervised or not any(map(transformer.took, met)))
    messages = [describe_missed(one, functions, met) for one in missed]
    if stops and is_complete:
        raise TransformError(
            " ".join(messages),
            "A function has the name of its stream, a helper's begins with _. Where the stream may stay away: --no-strict.",
        )
    for message in messages:
        logger.warning("%s", message)
