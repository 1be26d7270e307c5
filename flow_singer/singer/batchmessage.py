"""What a BATCH message announces: which files, of which form. Nothing of them is read here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from flow_singer.errors import MessageError
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.batchpaths import BATCH_PATHS_VARIABLE, BatchPaths


@dataclass(frozen=True)
class BatchSource:
    """The line and the stream that a BATCH message stands in, which its errors name."""

    line: int
    stream: str

    def fault(self, what: str, hint: str | None = None) -> MessageError:
        """The error of a BATCH message of which `what` is wrong."""
        said = f"Line {self.line}: the BATCH of stream '{self.stream}' {what}."
        return MessageError(said, hint or "Tell the tap's authors.")

    def unreadable(self, path: Path, reason: str) -> MessageError:
        """The error of a file that cannot be read."""
        return self.fault(
            f"cannot be read: {str(path)!r}: {reason}",
            "Have the tap write its batches again, or look at its batch_config.",
        )


@dataclass(frozen=True)
class AnnouncedFiles:
    """The files of a BATCH message.

    Attributes:
        urls: URLs or paths, as the message has them.
        format: jsonl, parquet or arrow.
        is_zipped: whether they are to be unpacked; Parquet and Arrow are compressed inside, if at all.
        hold_messages: whether they hold messages (PipelineWise), not bare records (Meltano SDK).
    """

    urls: list[str]
    format: str
    is_zipped: bool
    hold_messages: bool


def announced_files(message: Mapping[str, Any], source: BatchSource) -> AnnouncedFiles:
    """Read what a BATCH message announces, in either dialect.

    Raises:
        MessageError: it lacks something, or announces what Flow does not read.
    """
    if "manifest" in message:
        urls, form, compression = _manifest(message, source)
    else:
        urls, form, compression = _file_of_messages(message, source)
    is_zipped = form == "jsonl" and compression not in (None, "none")
    if is_zipped and compression != "gzip":
        raise source.fault(f"has compression {shown(compression)}", "Flow reads gzip or none.")
    return AnnouncedFiles(urls, form, is_zipped, "manifest" not in message)


def _manifest(message: Mapping[str, Any], source: BatchSource) -> tuple[list[str], str, object]:
    manifest, encoding = message["manifest"], message.get("encoding")
    if not isinstance(manifest, list) or not all(isinstance(url, str) for url in manifest):
        raise source.fault(f"has the manifest {shown(manifest)}, which is not a list of texts")
    if not isinstance(encoding, Mapping):
        raise source.fault(
            f"has the encoding {shown(encoding)}, which is not an object",
            'For example: "encoding": {"format": "jsonl", "compression": "gzip"}.',
        )
    form = encoding.get("format")
    if form not in ("jsonl", "parquet", "arrow"):
        raise source.fault(f"has format {shown(form)}", "Flow reads jsonl, parquet and arrow.")
    return manifest, form, encoding.get("compression")


def _file_of_messages(message: Mapping[str, Any], source: BatchSource) -> tuple[list[str], str, object]:
    if "filepath" not in message:
        raise source.fault("has neither manifest nor filepath")
    path, form = message["filepath"], message.get("format")
    if not isinstance(path, str):
        raise source.fault(f"has the filepath {shown(path)}, which is not a text")
    if form not in (None, "jsonl"):  # PipelineWise leaves out what is its default
        raise source.fault(f"has format {shown(form)}", "A file of messages is jsonl.")
    return [path], "jsonl", message.get("compression")


def file_of(url: str, paths: BatchPaths, source: BatchSource) -> Path:
    """The file that a URL or path of a BATCH message names.

    Raises:
        MessageError: there is none, or Flow must not read it.
    """
    path = _local_path(url, source)
    try:
        real = paths.resolve(path)
        if real is None:
            roots = ", ".join(map(str, paths.roots))
            raise source.fault(
                f"names {path}, which Flow does not read: only files below {roots} are",
                "Add its folder to batch_paths: in meltano.yml, or to the variable "
                f"{BATCH_PATHS_VARIABLE}, if you trust what the tap names.",
            )
        if not real.exists():
            raise source.fault(f"names a missing file: {path}")
    except (OSError, ValueError) as exc:  # a NUL byte, a name that is too long, symlinks in a circle
        raise source.unreadable(path, getattr(exc, "strerror", None) or str(exc)) from exc
    if not real.is_file():
        raise source.unreadable(path, "it is a directory" if real.is_dir() else "it is no regular file")
    return real


def _local_path(url: str, source: BatchSource) -> Path:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(?=//)|file:", url)
    if scheme is None:
        return Path(url)
    if scheme[0].lower() != "file:":
        raise source.fault(
            f"lies at {scheme[0]}//, which Flow does not read yet",
            "Have the tap write its batches to a local folder (batch_config: storage: root: file://...).",
        )
    rest = url[len("file:") :]
    host = ""
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
    if host.lower() not in ("", "localhost"):
        raise source.fault(
            f"lies on the host {shown(host)}, and Flow reads local files only",
            "A file's URL has three slashes, then its path: file:///folder/file.",
        )
    return Path(os.fsdecode(unquote_to_bytes(rest)))


class RecordFrame:
    """What stands around each bare record to make it a RECORD line of the message's stream."""

    def __init__(self, message: Mapping[str, Any], stream: str) -> None:
        beside = {key: message[key] for key in ("version", "time_extracted") if key in message}
        self._head = b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'
        self._tail = b"}"
        if beside:
            self._tail = b"," + msgspec.json.encode(beside)[1:]

    def lines(self, records: list[bytes]) -> list[bytes]:
        """The records as RECORD lines, without newlines."""
        return [self._head + record + self._tail for record in records]


def shown(value: object) -> str:
    """A value of the message, as its JSON text, cut where it is long."""
    return excerpt(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"))
