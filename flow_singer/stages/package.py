"""Load a message stream into a Data Package: all of it, or nothing."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from flow_singer.datapackage.sink import Loader
from flow_singer.datapackage.writer import FormatName, PackageWriter
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.marks import Header
from flow_singer.singer.messages import MessageReader
from flow_singer.singer.rejectfile import RejectFile
from flow_singer.stages.inputstream import InputStream
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
    form: FormatName,
    csv_null: str | None,
    *,
    check: bool = False,
    batch_paths: BatchPaths | None = None,
    rejects: RejectFile | None = None,
    nan: Literal["error", "null"] = "error",
    parallel: ParallelDecoder,
    progress: Callable[[MessageReader], None],
) -> LoadResult:
    """Write a stream as a package; what was there before is replaced only by a complete one.

    Args:
        target: the package's folder or zip file.
        stream: begun, wanting every stream.
        form: csv, jsonl or parquet.
        csv_null: the text of null in CSV; None for an empty cell.
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
        TargetError: the package cannot be written.
    """
    started = time.monotonic()
    set_up_memory()
    writer = PackageWriter(
        target,
        format=form,
        csv_null=csv_null,
        run=_run_of(stream.header),
        notice=lambda text: logger.warning("%s: %s", target, text),
    )
    with writer:
        shown = 0.0
        loader = Loader(
            writer,
            reject=None if rejects is None else rejects.add,
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
        if rejects is not None:
            rejects.sync()
        doing = "checking it with frictionless" if check else "putting it in its place"
        logger.info("%s: %s", target, doing, extra={"activity": "live"})
        published = writer.publish(check=check)
    return LoadResult(
        dict(published.records),
        stream.reader.size_bytes,
        time.monotonic() - started,
        rejects=0 if rejects is None else rejects.count,
    )


def _run_of(header: Header | None) -> dict[str, str]:
    if header is None:
        return {}
    fields = {"id": header.run, "tap": header.tap, "environment": header.environment}
    return {key: value for key, value in fields.items() if value}
