"""Load a message stream into a Data Package, or add it to one: all of it, or nothing."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from flow_singer.checks.contractchoice import ContractChoice
from flow_singer.checks.contractsink import ContractSink
from flow_singer.datapackage.formerpackage import WriteMode
from flow_singer.datapackage.owndescriptor import OwnDescriptor
from flow_singer.datapackage.sink import Loader
from flow_singer.datapackage.writer import FormatName, PackageWriter
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.foreignkeys import ForeignKey
from flow_singer.singer.marks import Header
from flow_singer.singer.messages import MessageReader
from flow_singer.singer.rejectfile import RejectFile
from flow_singer.stages.inputstream import InputStream
from flow_singer.stages.packagebookmark import added_again, begun_at
from flow_singer.stages.target import LoadResult
from flow_singer.tabular.memory import set_up_memory
from flow_singer.tabular.parallel import ParallelDecoder

logger = logging.getLogger(__name__)


class _EveryStream:
    def __contains__(self, stream: object) -> bool:
        return True


EVERY_STREAM = _EveryStream()
"""For `InputStream(wanted=...)`: records come in runs of one stream."""


def load_into_package(
    target: Path,
    stream: InputStream,
    form: FormatName | None,
    csv_null: str | None,
    *,
    mode: WriteMode = "replace",
    partition_by: str | None = None,
    descriptor: Path | None = None,
    foreign_keys: Mapping[str, Sequence[ForeignKey]] | None = None,
    contracts: ContractChoice | None = None,
    state_id: str | None = None,
    check: bool = False,
    batch_paths: BatchPaths | None = None,
    rejects: RejectFile | None = None,
    nan: Literal["error", "null"] = "error",
    parallel: ParallelDecoder,
    progress: Callable[[MessageReader], None],
) -> LoadResult:
    """Write a stream as a package, or add it to the one that is there, which only a complete stream changes.

    Args:
        target: the package's folder or zip file.
        stream: begun, wanting every stream.
        form: csv, csv.gz, jsonl, jsonl.gz, parquet or xlsx; None for that of the package, else CSV.
        csv_null: the text of null in CSV; None for that of the package, else an empty cell.
        mode: replace, append or upsert.
        partition_by: see [`PackageWriter`][flow_singer.datapackage.writer.PackageWriter].
        descriptor: a file of what a person says of the package.
        foreign_keys: see [`PackageWriter`][flow_singer.datapackage.writer.PackageWriter].
        contracts: what each stream that is there already is held to; None lets all evolve.
        state_id: the name of the bookmark that the package keeps of the tap; None keeps none.
        check: whether it must be valid by its own schema to be published.
        batch_paths: which files a BATCH may name.
        rejects: takes what cannot be used, and is on disk before the package is published; None stops at the
            first.
        nan: what to do with NaN and Infinity.
        parallel: decodes the records.
        progress: called about twice a second.

    Raises:
        IncompleteError: the stream was cut short; nothing was published.
        DataError: a line or a record cannot be used.
        ConfigError: the stream does not continue the package, or does not go with it.
        TargetError: the package cannot be written.
        BusyError: another run has added to the package meanwhile.
    """
    started = time.monotonic()
    set_up_memory()

    def notice(text: str) -> None:
        logger.warning("%s: %s", target, text)

    reject = None if rejects is None else rejects.add
    writer = PackageWriter(
        target,
        format=form,
        csv_null=csv_null,
        mode=mode,
        partition_by=partition_by,
        own=None if descriptor is None else OwnDescriptor(descriptor, checked=check, notice=notice),
        foreign_keys=foreign_keys,
        run=_run_of(stream.header),
        notice=notice,
    )
    sink = ContractSink(writer, contracts or ContractChoice(), notice=notice, reject=reject)
    with writer:
        name = str(target) if target.suffix.lower() == ".zip" else f"{target}/"
        move = begun_at(writer.former, stream.header, mode, name, state_id)
        shown = 0.0
        loader = Loader(
            sink,
            reject=reject,
            nan=nan,
            parallel=parallel,
            batch_paths=batch_paths,
        )
        with contextlib.closing(loader):
            for run in stream.runs(idle=lambda: progress(stream.reader)):
                loader.handle(run)
                if (now := time.monotonic()) - shown > 0.5:
                    shown = now
                    progress(stream.reader)
            stream.check_end()
            loader.flush()
        sink.tell()
        if rejects is not None:
            rejects.sync()
        doing = "checking it with frictionless" if check else "putting it in its place"
        logger.info("%s: %s", target, doing, extra={"activity": "live"})
        if mode == "append":
            for name in added_again(writer.former, stream.header, list(loader.loaded.records)):
                logger.warning(
                    "%s: stream '%s' has no bookmark, so all of its records came again and are added to those of "
                    "earlier runs. To replace rows by their key: --write-mode upsert.",
                    target,
                    name,
                )
        if move is not None:
            move = replace(move, value=loader.loaded.state)
        published = writer.publish(check=check, state=move)
    has_moved = mode != "replace" and move is not None and move.value is not None
    return LoadResult(
        dict(published.records),
        stream.reader.size_bytes,
        time.monotonic() - started,
        bookmark=state_id if has_moved else None,
        rejects=0 if rejects is None else rejects.count,
    )


def _run_of(header: Header | None) -> dict[str, str]:
    if header is None:
        return {}
    fields = {"id": header.run, "tap": header.tap, "environment": header.environment}
    return {key: value for key, value in fields.items() if value}
