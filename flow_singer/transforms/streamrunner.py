"""One stream under one function: what the runners of all modes have in common.

A mode is what a function sees at a time: a batch, a record, all rows of its streams. Each has a file of its own
with a subclass; `transformer.py` lists them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.transforms.buffers import Buffer
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.notices import Notices
from flow_singer.transforms.outputs import Outputs
from flow_singer.transforms.rejecters import Reject, record_rejecter


@dataclass(frozen=True)
class Shared:
    """What the runners of one transform share.

    Attributes:
        parallel: decodes records.
        outputs: take what functions make.
        notices: what a person should hear at the end.
        reject: takes what cannot be used; None where the first bad record or row raises.
        nan: see [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder].
        split_checks: how many streams of a function were checked, by its place.
    """

    parallel: ParallelDecoder
    outputs: Outputs
    notices: Notices
    reject: Reject | None = None
    nan: Literal["error", "null"] = "error"
    split_checks: Counter[str] = field(default_factory=Counter)


class StreamRunner(ABC):
    """Shows the records of one stream to its function, and hands the results to the outputs.

    Args:
        function: takes the stream.
        schema: the stream's first SCHEMA.
        shared: with the runners of other streams.

    Attributes:
        schema: the SCHEMA under which the records in the buffer came.
        buffer: records that wait to be run.
    """

    needs_every_row: ClassVar[bool] = False
    """Whether the function sees its stream only at the end: then no bookmark may leave part of it out."""

    decodes_in_parallel: ClassVar[bool] = True
    """Whether a second process is of use."""

    most_batch_bytes: ClassVar[int] = 1 << 62
    """A batch of more bytes is of no use to this mode."""

    def __init__(self, function: StreamFunction, schema: StreamSchema, shared: Shared) -> None:
        self.function = function
        self.schema = schema
        self.buffer = Buffer()
        self._shared = shared
        self._decoder = self._decoder_of(schema)

    def _decoder_of(self, schema: StreamSchema) -> RecordDecoder:
        reject = record_rejecter(self._shared.reject, schema.stream)
        return RecordDecoder(schema, nan=self._shared.nan, reject=reject)

    @property
    def stream(self) -> str:
        """The name of the stream that comes in."""
        return self.schema.stream

    @property
    def oldest_line(self) -> int | None:
        """Number of the first line whose record was not decoded, or is kept; None where there is none."""
        return self.buffer.oldest_line

    @property
    def kept_rows(self) -> tuple[int, int]:
        """How many records wait for the end of the stream, and how many bytes of them are on disk."""
        return 0, 0

    def change_schema(self, schema: StreamSchema, line_number: int) -> None:
        """Go on under another SCHEMA, that of a line; the buffer must be empty.

        Raises:
            MessageError: this mode cannot go on.
        """
        self.schema = schema
        self._decoder = self._decoder_of(schema)

    def activate_version(self, line: bytes) -> None:
        """Pass on the stream's ACTIVATE_VERSION; the records before it were run."""
        self._shared.outputs.activate_version(self.stream, line)

    @abstractmethod
    def run(self, parts: Sequence[Part]) -> None:
        """Show records to the function: at once, or when they are decoded.

        Raises:
            DataError: a record, or what the function did.
        """

    def finish(self) -> None:
        """Do what is due at the end of the stream, complete or not; all records were run."""
        return

    @classmethod
    def finish_complete(cls, runners: Sequence[Self], shared: Shared) -> None:
        """Do what is due where the input came to its proper end, for all runners of this mode."""
        return
