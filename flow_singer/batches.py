"""Files that a BATCH message points at, in both dialects, as RECORD lines.

Sources: Meltano SDK, "Batch messages" (files of bare records, `manifest`); PipelineWise singer-python
(`filepath`, a file of messages).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlparse

import msgspec

from flow_singer.errors import MessageError

CHUNK_RECORDS = 5000


def read_batch(message: Mapping[str, Any]) -> Iterator[tuple[bytes, int]]:
    """Read what a BATCH message announces.

    Args:
        message: the decoded message.

    Yields:
        Blocks of RECORD lines of the message's stream, and how many lines each has. The files stay where
        they are: their owner cleans up.

    Raises:
        MessageError: a dialect, place, format or compression that cannot be read, or a missing file.
    """
    stream = str(message["stream"])
    if "manifest" in message:
        encoding = message.get("encoding") or {}
        urls, form, compression = message["manifest"], encoding.get("format"), encoding.get("compression")
        holds_messages = False
    elif "filepath" in message:
        urls, form, compression = [message["filepath"]], message.get("format"), message.get("compression")
        holds_messages = True
    else:
        raise MessageError(f"The BATCH message of stream '{stream}' has neither manifest nor filepath.")
    beside = {key: message[key] for key in ("version", "time_extracted") if key in message}
    tail = b"".join(b"," + msgspec.json.encode(k) + b":" + msgspec.json.encode(v) for k, v in beside.items())
    head = b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'
    for url in urls:
        path = _local_path(str(url), stream)
        match form:
            case "jsonl":
                with _open(path, compression, stream) as file:
                    lines = (line.strip() for line in file)
                    records = (line for line in lines if line)
                    if holds_messages:
                        yield from _chunks(line for line in records if _is_record(line, stream))
                    else:
                        yield from _chunks(head + record + tail + b"}" for record in records)
            case "parquet" | "arrow":
                yield from _chunks(head + record + tail + b"}" for record in _table_records(path, form))
            case _:
                raise MessageError(
                    f"A BATCH of stream '{stream}' has format {form!r}.",
                    "Flow reads jsonl, parquet and arrow.",
                )


def _is_record(line: bytes, stream: str) -> bool:
    message = msgspec.json.decode(line)
    return isinstance(message, dict) and message.get("type") == "RECORD" and message.get("stream") == stream


def _chunks(lines: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
    chunk: list[bytes] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == CHUNK_RECORDS:
            yield b"\n".join(chunk) + b"\n", len(chunk)
            chunk = []
    if chunk:
        yield b"\n".join(chunk) + b"\n", len(chunk)


def _local_path(url: str, stream: str) -> Path:
    parsed = urlparse(url)
    if parsed.scheme not in ("", "file"):
        raise MessageError(
            f"A BATCH of stream '{stream}' lies at {parsed.scheme}://, which Flow does not read yet.",
            "Have the tap write its batches to a local folder (batch_config: storage: root: file://...).",
        )
    path = Path(unquote(parsed.path))
    if not path.is_file():
        raise MessageError(f"A BATCH of stream '{stream}' names a missing file: {path}.")
    return path


def _open(path: Path, compression: str | None, stream: str) -> IO[bytes]:
    if compression in (None, "none"):
        return path.open("rb")
    if compression == "gzip":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    raise MessageError(
        f"A BATCH of stream '{stream}' has compression {compression!r}; Flow reads gzip or none."
    )


def _table_records(path: Path, form: str) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoder = msgspec.json.Encoder(decimal_format="number")
    if form == "parquet":
        batches = pq.ParquetFile(path).iter_batches(CHUNK_RECORDS)
    else:
        with pa.OSFile(str(path)) as file:
            batches = list(pa.ipc.open_stream(file))
    for batch in batches:
        for row in batch.to_pylist():
            yield encoder.encode(row)
