"""What both ways of writing share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from flow_singer.datapackage.names import earlier_file_stem, file_stem, folds_case, has_digest
from flow_singer.errors import MessageError, TargetError
from flow_singer.singer.schema import StreamSchema


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system into one message.

    Raises:
        TargetError: a file cannot be written.
    """
    try:
        yield
    except OSError as exc:
        raise TargetError(
            f"{exc.filename or folder} cannot be written: {exc.strerror or exc}.",
            "Check output_path, its permissions and the free space.",
        ) from exc


def check_columns(schema: StreamSchema) -> None:
    """Refuse a SCHEMA that has no columns.

    Raises:
        MessageError: it has no properties.
    """
    if not schema.properties:
        raise MessageError(
            f"The SCHEMA of stream '{schema.stream}' has no properties, so its file would have no columns.",
            "Deselect the stream, or complete its SCHEMA (meltano.yml: schema).",
        )


def file_of(stream: str, folder: Path, streams: Collection[str], notice: Callable[[str], None]) -> Path:
    """The file of a stream, which no other stream ever gets.

    Args:
        stream: its name.
        folder: where the files are.
        streams: the streams of this run that have a file.
        notice: told where version 0.1 may have written the stream to another file.
    """
    path = folder / f"{file_stem(stream, folds_case=folds_case(folder))}.csv"
    earlier = earlier_file_stem(stream)
    if earlier == path.stem or path.exists() or f"{earlier}.csv" not in os.listdir(folder):
        return path
    if earlier == stream and not has_digest(stream):  # no other stream had this name in version 0.1
        return folder / f"{stream}.csv"
    if earlier not in streams:
        notice(
            f"stream '{stream}' is written to {path.name}. Its earlier rows may be in {earlier}.csv, which "
            "streams of other names may share; it stays as it is."
        )
    return path
