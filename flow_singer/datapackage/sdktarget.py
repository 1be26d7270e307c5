"""Base of the bundled targets: command line and settings by the Singer SDK, messages by the block.

The SDK validates, copies and re-reads each record, some 5 000 a second. Here the lines of stdin go as they
are to the [`Loader`][flow_singer.datapackage.sink.Loader]; nothing of the SDK sees a record.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, ClassVar, Protocol

import click
from singer_sdk import Target
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.helpers.capabilities import PluginCapabilities
from singer_sdk.io_base import SingerMessageType, SingerReader

from flow_singer.errors import EXIT_INTERNAL, BusyError, ConfigError, FlowError, IncompleteError
from flow_singer.wording import count_of

if TYPE_CHECKING:
    from flow_singer.datapackage.sink import Loader, Sink
    from flow_singer.singer.rejectfile import RejectFile

    class FileSink(Sink, Protocol):
        """A sink whose files are published together, or not at all."""

        commits_parts: bool
        """Whether a run that is cut short keeps what its last STATE covers."""

        keeps_earlier_runs: bool
        """Whether what earlier runs loaded stays. Where it is replaced, the next run must bring everything
        again: then no STATE is printed, so that no bookmark ever moves."""

        def publish(self) -> object:
            """Make everything durable and visible."""

        def abandon(self) -> None:
            """Publish nothing more."""


BLOCK_BYTES = 1 << 18
IDLE_S = 1.0


_REJECTS_CODE_VARIABLE = "FLOW_REJECTS_CODE"
"""The code to end with where something was set aside, which `flow load` knows; without it 0, as other runners
take any other for a failure."""

SETTINGS: dict[str, Any] = {
    "nan": {
        "type": "string",
        "enum": ["error", "null"],
        "default": "error",
        "title": "NaN and Infinity",
        "description": "What becomes of the tokens NaN and Infinity, which are no JSON.",
    },
    "reject_file": {
        "type": ["string", "null"],
        "minLength": 1,
        "title": "Reject file",
        "description": "Lines and records that cannot be used are set aside here; without it the first one ends the run.",
    },
    "max_rejects": {
        "type": ["integer", "null"],
        "minimum": 0,
        "title": "Most rejects",
        "description": "The run fails when more than this are set aside; without it any number may be.",
    },
}
"""What every bundled target can be told."""


def _setting_of(option: re.Match[str]) -> str:
    return f'{option[1].replace("-", "_")}: "{option[2]}"'


_AS_SETTINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"--nan null"), 'the setting nan: "null"'),
    (re.compile(r"--reject FILE"), "the setting reject_file"),
    (re.compile(r"--(format|write-mode) ([a-z]+(?:\.gz)?)"), _setting_of),
    (re.compile(r"--csv-null"), "the setting csv_null"),
    (re.compile(r"--partition-by"), "the setting partition_by"),
    (re.compile(r"Add --check, which"), 'Add "check": true, which'),
    (re.compile(r"--descriptor"), "The setting descriptor"),
    (re.compile(r"--contract ([a-z-]+)"), r'contract: "\1"'),
    (
        re.compile(r" If this is log output, run with --noise stderr; .*$"),
        " Others are set aside by the setting reject_file.",
    ),
)


def as_settings(text: str) -> str:
    """A message in the words of a target, which has settings where `flow` has options."""
    for option, setting in _AS_SETTINGS:
        text = option.sub(setting, text)
    return text


class _BlockReader(SingerReader):
    """Hands the whole input to a function instead of line by line to callbacks."""

    read: Callable[[Any], Counter[str]]

    def process_lines(self, file_input: IO[str] | None, callbacks: object) -> Counter[str]:
        return self.read(file_input)


class BatchTarget(Target):
    """A target that writes files, batch by batch."""

    message_reader_class = _BlockReader
    capabilities: ClassVar[list[Any]] = [PluginCapabilities.ABOUT, PluginCapabilities.ACTIVATE_VERSION]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if isinstance(self.message_reader, _BlockReader):
            self.message_reader.read = self._read_messages
        self._loader: Loader | None = None
        self._sink: FileSink | None = None
        self._rejects: RejectFile | None = None

    @abstractmethod
    def open_sink(self) -> FileSink:
        """Make what takes the records, from the settings."""

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add Flow's settings, and none of the SDK's: what works record by record does not apply here."""
        config_jsonschema["properties"] = {**config_jsonschema["properties"], **SETTINGS}

    def process_endofpipe(self) -> None:
        """Publish, and only then write the last STATE, where the next run may resume from it.

        Raises:
            IncompleteError: the stream's marks say that it is not complete.
        """
        if self._loader is None or self._sink is None:
            return
        with _Abandoning(self._sink), contextlib.closing(self._loader):
            loaded = self._loader.finish()
            if loaded.incomplete:
                kept = (
                    "What its last STATE covers was kept"
                    if self._sink.commits_parts
                    else "Nothing of it was published"
                )
                raise IncompleteError(
                    f"The stream is not complete: {loaded.incomplete.removesuffix('.')}. {kept}.",
                    "Find the first error of the stages before this one, and run again.",
                )
            if self._rejects is not None:
                self._rejects.sync()
            self._sink.publish()
        self._loader.release_state()
        self._tell_rejects()

    def _read_messages(self, file_input: IO[Any] | None) -> Counter[str]:
        from flow_singer.datapackage.sink import Loader
        from flow_singer.tabular.memory import set_up_memory

        set_up_memory()
        self._sink = self.open_sink()
        self._rejects = self._open_rejects()
        reject = None if self._rejects is None else self._rejects.add
        self._loader = loader = Loader(
            self._sink,
            emit_state=self._emit_state if self._sink.keeps_earlier_runs else None,
            reject=reject,
            nan="null" if self.config.get("nan") == "null" else "error",
        )
        with _Abandoning(self._sink):
            for block in _blocks(file_input, loader.tick):
                loader.push(block)
        return Counter({SingerMessageType.RECORD: sum(loader.loaded.records.values())})

    def _open_rejects(self) -> RejectFile | None:
        from flow_singer.singer.rejectfile import RejectFile

        path = self.config.get("reject_file")
        if path is None:
            if self.config.get("max_rejects") is not None:
                raise ConfigError(
                    "The setting max_rejects needs reject_file.", "Name a file, or leave it out."
                )
            return None
        return RejectFile(Path(path), self.config.get("max_rejects"))

    def set_aside(self, number: int, stream: str | None, line: bytes, error: FlowError) -> None:
        """Put a record into the reject file; without one it is only told of."""
        if self._rejects is not None:
            self._rejects.add(number, stream, line, error)

    def _emit_state(self, value: bytes) -> None:
        """Print a STATE, once the rejects that it covers are on disk."""
        if self._rejects is not None:
            self._rejects.sync()
        _write_state(value)

    def _tell_rejects(self) -> None:
        """Say what was set aside; under Flow, end with the code that it wants."""
        if self._rejects is None or not self._rejects.count:
            return
        self._rejects.close()
        self.logger.warning(
            "%s set aside in %s.", count_of(self._rejects.count, "record"), self._rejects.path
        )
        if code := os.environ.get(_REJECTS_CODE_VARIABLE):
            sys.exit(int(code))

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """End without publishing; the SDK would take what came so far for the whole."""
        sys.exit(128 + signum)

    # The SDK's own loop is never entered.
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        raise NotImplementedError

    _process_record_message = _process_schema_message
    _process_state_message = _process_schema_message
    _process_activate_version_message = _process_schema_message
    _process_batch_message = _process_schema_message


class _Abandoning:
    """Abandons the sink at any error, and raises two of them as the SDK's own."""

    def __init__(self, sink: FileSink) -> None:
        self._sink = sink

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from flow_singer.datapackage.rowkeys import MissingKeyError
        from flow_singer.singer.badlines import RecordBeforeSchemaError

        if error is None:
            return
        self._sink.abandon()
        if isinstance(error, RecordBeforeSchemaError):
            raise RecordsWithoutSchemaException(str(error)) from error
        if isinstance(error, MissingKeyError):
            raise MissingKeyPropertiesError(str(error)) from error


def _blocks(file: IO[Any] | None, idle: Callable[[], None]) -> Iterator[bytes]:
    """The input in blocks; `idle` is called about once a second while nothing arrives."""
    if file is None:
        handle = sys.stdin.fileno()
        while True:
            while not select.select([handle], [], [], IDLE_S)[0]:
                idle()
            block = os.read(handle, BLOCK_BYTES)
            if not block:
                return
            yield block
    binary = getattr(file, "buffer", file)
    while data := binary.read(BLOCK_BYTES):
        yield data.encode() if isinstance(data, str) else data


def _write_state(value: bytes) -> None:
    sys.stdout.buffer.write(value + b"\n")
    sys.stdout.buffer.flush()


def run_target(name: str, target: Callable[[], type[Target]]) -> None:
    """Run a target's command line; an error ends it with one message.

    Args:
        name: the command's name.
        target: imports the target's class.
    """
    from flow_singer.tabular.startup import arrow_without_pandas

    arrow_without_pandas()
    try:
        target().cli()
    except (IncompleteError, BusyError) as exc:
        click.echo(f"{name}: {as_settings(str(exc))}", err=True)
        sys.exit(exc.exit_code)
    except (FlowError, RecordsWithoutSchemaException, MissingKeyPropertiesError, OSError) as exc:
        click.echo(f"{name}: {as_settings(str(exc))}", err=True)
        sys.exit(EXIT_INTERNAL)
