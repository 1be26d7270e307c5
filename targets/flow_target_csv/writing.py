"""Errors that both ways of writing raise alike."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

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
