"""What a file of a BATCH message holds, read some thousand records at a time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from flow_singer.errors import MessageError
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.batchmessage import AnnouncedFiles, BatchSource

CHUNK_RECORDS = 5000


def chunks(path: Path, files: AnnouncedFiles, source: BatchSource) -> Iterator[list[bytes]]:
    """The records of a file; of JSON Lines its lines as they are, whatever they hold.

    Raises:
        MessageError: it cannot be read, or is not what it is said to be.
    """
    with _reading(path, files.format, source):
        if files.format != "jsonl":
            yield from _grouped(_table_records(path, files.format))
            return
        with _open(path, files.is_zipped) as file:
            yield from _grouped(file)


def _open(path: Path, is_zipped: bool) -> IO[bytes]:
    if not is_zipped:
        return path.open("rb")
    if not path.stat().st_size:
        raise EOFError("it is empty")
    return gzip.open(path, "rb")  # type: ignore[return-value]


@contextmanager
def _reading(path: Path, form: str, source: BatchSource) -> Iterator[None]:
    """Tell of what goes wrong inside of a file."""
    try:
        yield
    except (MessageError, GeneratorExit):
        raise
    except PermissionError as exc:
        raise source.unreadable(path, str(exc.strerror)) from exc
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        raise source.unreadable(path, f"it is no whole gzip file ({exc})") from exc
    except _TableError as exc:
        name = {"parquet": "Parquet file", "arrow": "Arrow stream"}[form]
        raise source.unreadable(path, f"it is no {name} that can be read ({exc})") from exc
    except OSError as exc:
        raise source.unreadable(path, exc.strerror or str(exc)) from exc


def _grouped(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    each = iter(lines)
    while chunk := [*islice(each, CHUNK_RECORDS)]:
        yield chunk


class _TableError(Exception):
    """A file of columns that cannot be read."""


def _table_records(path: Path, form: str) -> Iterator[bytes]:
    """The rows of a Parquet file or Arrow stream as JSON.

    Raises:
        _TableError: it is none, or holds what has no JSON.
        OSError: it cannot be opened.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoder = msgspec.json.Encoder(decimal_format="number")
    with path.open("rb") as file:
        try:
            tables = pq.ParquetFile(file).iter_batches(CHUNK_RECORDS) if form == "parquet" else _arrow(file)
            for table in tables:
                for row in table.to_pylist():
                    yield encoder.encode(row)
        except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, RecursionError) as exc:
            raise _TableError(excerpt(str(exc).encode("utf-8", "backslashreplace"))) from exc


def _arrow(file: IO[bytes]) -> Iterator[Any]:
    """The batches of Arrow IPC, as a stream or as a file."""
    import pyarrow as pa

    is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
    file.seek(0)
    if not is_file:
        yield from pa.ipc.open_stream(file)
        return
    reader = pa.ipc.open_file(file)
    yield from map(reader.get_batch, range(reader.num_record_batches))


_ARROW_FILE = b"ARROW1"
