"""One `flow transform`: files of functions, one behind the other, between two pipes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from flow_singer.checks.checkedwriter import CheckedWriter
from flow_singer.checks.checkset import Checks
from flow_singer.checks.expectations import Expectation
from flow_singer.errors import FlowError, IncompleteError, TransformError
from flow_singer.process.interrupts import Interrupted
from flow_singer.process.pipes import read_blocks, write_all
from flow_singer.singer.badlines import CutLineError
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.marks import Header, check_complete, cut_short
from flow_singer.singer.rejectfile import RejectFile
from flow_singer.stages.expected import expected_of_functions
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
        expected: what is expected of the streams that leave the last file, given the name of the tap where the
            input says it.
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
    expected: Callable[[str | None], Sequence[Expectation]] = lambda _: ()


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
        specs: `file.py` or `file.py:function`; each gets what the one before it made. Without any, what comes is
            only looked at.
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
    functions = [load_functions(spec) for spec in specs] or [[]]
    if options.debug:
        functions = [[replace(one, once=True, check_split=False) for one in found] for found in functions]
    expected = [expected_of_functions(found) for found in functions]
    rejects = None if options.reject is None else RejectFile(options.reject, options.max_rejects)
    chain = _Chain()

    def checks_behind(position: int) -> Checks:
        """What is expected of the streams that leave a file; the header of the input has come."""
        header = chain.transformers[0].header
        found = [*expected[position]]
        if position == len(functions) - 1:
            found += options.expected(header.tap if header else None)
        return Checks(found, resumed=header.resumed if header else ())

    for position in reversed(range(len(functions))):
        writer = CheckedWriter(
            chain.push_into_head() or (lambda data: write_all(out, data)),
            None if options.plain and chain.is_empty else Header(uuid.uuid4().hex),
            partial(checks_behind, position),
            reject=rejects.add if rejects else None,
            nan=options.nan,
            before_state=rejects.sync if rejects and chain.is_empty else None,
            batch_paths=options.batch_paths,
        )
        chain.add_first(
            Transformer(
                functions[position],
                writer,
                limits=options.limits,
                reject=rejects.add if rejects else None,
                noise=_warn_of_noise if options.forward_noise else None,
                nan=options.nan,
                batch_paths=options.batch_paths,
                parallel=parallel if position == 0 else ParallelDecoder(processes=1),
            ),
            writer,
        )
    last_out = chain.last_writer
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
        self._writers: list[CheckedWriter] = []
        self._ticked = time.monotonic()

    @property
    def is_empty(self) -> bool:
        """Whether there is none yet."""
        return not self.transformers

    @property
    def last_writer(self) -> CheckedWriter:
        """The one that writes out."""
        return self._writers[-1]

    def add_first(self, transformer: Transformer, writer: CheckedWriter) -> None:
        self.transformers.insert(0, transformer)
        self._writers.insert(0, writer)

    def push_into_head(self) -> Callable[[bytes | memoryview], object] | None:
        """What gives messages to the first transformer; None while there is none."""
        if not self.transformers:
            return None
        head = self.transformers[0]
        return lambda data: head.push(bytes(data))

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
            for writer in self._writers:
                writer.flush()
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
            for notice in (*transformer.notices, *writer.settle(complete=reason is None)):
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
        for writer in self._writers:
            writer.close()

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
