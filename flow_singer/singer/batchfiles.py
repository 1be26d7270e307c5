"""Files that a BATCH message points at, in both dialects, as RECORD lines.

A file is read in pieces. Where nothing is set aside, the first fault raises, and no STATE behind the message
goes out. Where it is, every file is read to its end before a record of it is used: a BATCH that cannot be read
is set aside whole, and a line of JSON Lines that is no record by itself.

Sources: Meltano SDK, "Batch messages" (files of bare records, `manifest`); PipelineWise singer-python
(`filepath`, a file of messages).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec

from flow_singer.errors import FlowError, MessageError
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.batchpaths import BATCH_PATHS_VARIABLE, BatchPaths
from flow_singer.singer.envelope import Envelope, check_text, decode_object

CHUNK_RECORDS = 5000

Reject: TypeAlias = Callable[[int, str | None, bytes, FlowError], None]


def read_batch(
    line: bytes, number: int, *, paths: BatchPaths, reject: Reject | None = None
) -> Iterator[tuple[bytes, int]]:
    """Read what a BATCH message announces.

    Args:
        line: the message, without its newline.
        number: the number of its line.
        paths: which files it may name.
        reject: called as `reject(number, stream, line, error)`: with `line` itself where the BATCH cannot be
            read, and then nothing of it is yielded; with a line of one of its files that is no record.
            Without it, either raises.

    Yields:
        Blocks of RECORD lines of the message's stream, and how many lines each has. The files stay where
        they are: their owner cleans up.

    Raises:
        MessageError: it is no BATCH message, names what cannot or must not be read, or a file is not what it
            is said to be; names line, stream, file and reason.
    """
    message = decode_object(line, number)
    try:
        batch = _Batch(message, number, paths, reject)
        if reject is not None:
            batch.try_out()
    except MessageError as error:
        if reject is None:
            raise
        reject(number, str(message["stream"]), line, error)
        return
    yield from batch.blocks()


class _Batch:
    """One BATCH message."""

    def __init__(
        self, message: Mapping[str, Any], number: int, paths: BatchPaths, reject: Reject | None
    ) -> None:
        self.stream = str(message["stream"])
        self._number = number
        self._paths = paths
        self._reject = reject
        self._holds_messages = "manifest" not in message
        self._urls, self._format, compression = self._announced(message)
        self._zipped = self._is_zipped(compression)
        beside = {key: message[key] for key in ("version", "time_extracted") if key in message}
        tail = b"".join(
            b"," + msgspec.json.encode(k) + b":" + msgspec.json.encode(v) for k, v in beside.items()
        )
        self._head = b'{"type":"RECORD","stream":' + msgspec.json.encode(self.stream) + b',"record":'
        self._tail = tail + b"}"

    def try_out(self) -> None:
        """Read every file to its end.

        Raises:
            MessageError: one of them cannot be read.
        """
        for url in self._urls:
            for _ in self._chunks(self._path(url)):
                pass

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """The records as RECORD lines."""
        for url in self._urls:
            path = self._path(url)
            checked = self._messages if self._holds_messages else self._records
            first = 1
            for lines in self._chunks(path):
                found = lines if self._format != "jsonl" else checked(lines, path, first)
                first += len(lines)
                if not found:
                    continue
                if not self._holds_messages:
                    found = [self._head + record + self._tail for record in found]
                yield b"\n".join(found) + b"\n", len(found)

    # ----------------------------------------------------------------------------- what is announced

    def _announced(self, message: Mapping[str, Any]) -> tuple[list[str], str, object]:
        """The places of the files, their format, and their compression."""
        if self._holds_messages:
            if "filepath" not in message:
                raise self._fault("has neither manifest nor filepath")
            path, form = message["filepath"], message.get("format")
            if not isinstance(path, str):
                raise self._fault(f"has the filepath {_shown(path)}, which is not a text")
            form = "jsonl" if form is None else form  # PipelineWise leaves out what is its default
            if form != "jsonl":
                raise self._fault(f"has format {_shown(form)}", "A file of messages is jsonl.")
            return [path], form, message.get("compression")
        manifest, encoding = message["manifest"], message.get("encoding")
        if not isinstance(manifest, list) or not all(isinstance(url, str) for url in manifest):
            raise self._fault(f"has the manifest {_shown(manifest)}, which is not a list of texts")
        if not isinstance(encoding, Mapping):
            raise self._fault(
                f"has the encoding {_shown(encoding)}, which is not an object",
                'For example: "encoding": {"format": "jsonl", "compression": "gzip"}.',
            )
        form = encoding.get("format")
        if form not in ("jsonl", "parquet", "arrow"):
            raise self._fault(f"has format {_shown(form)}", "Flow reads jsonl, parquet and arrow.")
        return manifest, form, encoding.get("compression")

    def _is_zipped(self, compression: object) -> bool:
        """Whether the files are to be unpacked; Parquet and Arrow are compressed inside, if at all."""
        if self._format != "jsonl" or compression in (None, "none"):
            return False
        if compression != "gzip":
            raise self._fault(f"has compression {_shown(compression)}", "Flow reads gzip or none.")
        return True

    def _path(self, url: str) -> Path:
        """The file that a URL or path names."""
        path = self._local_path(url)
        try:
            real = self._paths.resolve(path)
            if real is None:
                roots = ", ".join(map(str, self._paths.roots))
                raise self._fault(
                    f"names {path}, which Flow does not read: only files below {roots} are",
                    "Add its folder to batch_paths: in meltano.yml, or to the variable "
                    f"{BATCH_PATHS_VARIABLE}, if you trust what the tap names.",
                )
            if not real.exists():
                raise self._fault(f"names a missing file: {path}")
        except (OSError, ValueError) as exc:  # a NUL byte, a name that is too long, symlinks in a circle
            raise self._unreadable(path, getattr(exc, "strerror", None) or str(exc)) from exc
        if not real.is_file():
            raise self._unreadable(path, "it is a directory" if real.is_dir() else "it is no regular file")
        return real

    def _local_path(self, url: str) -> Path:
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)|file:", url)
        if scheme is None:
            return Path(url)
        if scheme[0].lower() != "file:":
            raise self._fault(
                f"lies at {scheme[0]}//, which Flow does not read yet",
                "Have the tap write its batches to a local folder (batch_config: storage: root: file://...).",
            )
        rest = url[len("file:") :]
        host = ""
        if rest.startswith("//"):
            host, slash, rest = rest[2:].partition("/")
            rest = slash + rest
        if host.lower() not in ("", "localhost"):
            raise self._fault(
                f"lies on the host {_shown(host)}, and Flow reads local files only",
                "A file's URL has three slashes, then its path: file:///folder/file.",
            )
        return Path(os.fsdecode(unquote_to_bytes(rest)))

    # ----------------------------------------------------------------------------------- what is there

    def _chunks(self, path: Path) -> Iterator[list[bytes]]:
        """The records of a file, some thousand at a time; lines of JSON Lines as they are."""
        with self._reading(path):
            if self._format != "jsonl":
                yield from _grouped(_table_records(path, self._format))
                return
            with self._open(path) as file:
                yield from _grouped(file)

    def _open(self, path: Path) -> IO[bytes]:
        if not self._zipped:
            return path.open("rb")
        if not path.stat().st_size:
            raise EOFError("it is empty")
        return gzip.open(path, "rb")  # type: ignore[return-value]

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        """Tell of what goes wrong inside of a file."""
        try:
            yield
        except (MessageError, GeneratorExit):
            raise
        except PermissionError as exc:
            raise self._unreadable(path, str(exc.strerror)) from exc
        except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
            raise self._unreadable(path, f"it is no whole gzip file ({exc})") from exc
        except _TableError as exc:
            name = {"parquet": "Parquet file", "arrow": "Arrow stream"}[self._format]
            raise self._unreadable(path, f"it is no {name} that can be read ({exc})") from exc
        except OSError as exc:
            raise self._unreadable(path, exc.strerror or str(exc)) from exc

    def _records(self, lines: list[bytes], path: Path, first: int) -> list[bytes]:
        """Those of the lines that are records; each must be one JSON object."""
        records = [*filter(None, map(bytes.strip, lines))]
        data = b"\n".join(records)
        try:
            if len(_object_decoder.decode_lines(data)) == len(records):
                check_text(data)
                return records
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        return [*self._each(lines, path, first, _wrong_record)]

    def _messages(self, lines: list[bytes], path: Path, first: int) -> list[bytes]:
        """Those of the lines that are RECORDs of the stream; SCHEMA and STATE are those of the whole stream."""
        found = [*filter(None, map(bytes.strip, lines))]
        try:
            envelopes = _envelope_decoder.decode_lines(b"\n".join(found))
            if len(envelopes) == len(found) and not any(map(self._is_odd, envelopes)):
                check_text(b"".join(found))
                return [line for line, one in zip(found, envelopes, strict=True) if one.type == "RECORD"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        kept = self._each(lines, path, first, lambda message: _wrong_message(message, self.stream))
        return [line for line in kept if decode_object(line, first).get("type") == "RECORD"]

    def _is_odd(self, envelope: Envelope) -> bool:
        return not envelope.type or (envelope.type == "RECORD" and envelope.stream != self.stream)

    def _each(
        self, lines: list[bytes], path: Path, first: int, wrong: Callable[[object], str | None]
    ) -> Iterator[bytes]:
        for position, raw in enumerate(lines, first):
            line = raw.strip()
            if not line:
                continue
            try:
                reason = wrong(json.loads(line.decode()))  # which reads NaN, for the decoder to judge
            except (ValueError, RecursionError) as exc:
                reason = str(exc)
            if reason is None:
                yield line
                continue
            error = self._fault(
                f"has a bad line, {path}, line {position} ({reason}): {excerpt(line)}",
                "Mend the file, or set such lines aside with --reject FILE.",
            )
            if self._reject is None:
                raise error
            self._reject(self._number, self.stream, line, error)

    def _unreadable(self, path: Path, reason: str) -> MessageError:
        return self._fault(
            f"cannot be read: {str(path)!r}: {reason}",
            "Have the tap write its batches again, or look at its batch_config.",
        )

    def _fault(self, what: str, hint: str | None = None) -> MessageError:
        return MessageError(f"Line {self._number}: the BATCH of stream '{self.stream}' {what}.", hint)


class _AnyObject(msgspec.Struct):
    """Any JSON object, of which nothing is kept."""


_object_decoder = msgspec.json.Decoder(_AnyObject)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def _wrong_record(record: object) -> str | None:
    return None if isinstance(record, dict) else "not a JSON object"


def _wrong_message(message: object, stream: str) -> str | None:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str) or not message["type"]:
        return "not a Singer message"
    if message["type"] == "RECORD" and message.get("stream") != stream:
        return f"a record of stream {_shown(message.get('stream'))}"
    return None


def _grouped(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    each = iter(lines)
    while chunk := [*islice(each, CHUNK_RECORDS)]:
        yield chunk


def _shown(value: object) -> str:
    """A value of the message, as its JSON text, cut where it is long."""
    return excerpt(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))


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
