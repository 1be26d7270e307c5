"""What a person should hear at the end of a transform: what was dropped, what could not be read as a date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from flow_singer.tabular.outputstream import OutputStream
from flow_singer.transforms.functions import StreamFunction
from flow_singer.wording import count_of


@dataclass
class Notices:
    """What was met, counted.

    Attributes:
        said: sentences that are ready.
        unreadable: per stream and column, texts that are no date.
    """

    said: list[str] = field(default_factory=list)
    unreadable: dict[str, dict[str, int]] = field(default_factory=dict)
    _dropped: Counter[tuple[str, str]] = field(default_factory=Counter)

    def fails_on_empty(self, function: StreamFunction, stream: str, reason: str) -> None:
        """A function fails on the empty frame of a stream without records."""
        self.said.append(
            f"Stream '{stream}' had no records, and {function.where} fails on an empty frame ({reason}); its SCHEMA "
            "is passed as it came."
        )

    def no_schema(self, function: StreamFunction, stream: str, reason: str) -> None:
        """Nothing tells the columns of what a row function would have made of a stream."""
        self.said.append(
            f"Stream '{stream}': no record came of {function.where}, and so no SCHEMA is written ({reason})."
        )

    def dropped(self, function: StreamFunction, stream: str, records: int) -> None:
        """A function dropped a stream, or a part of it."""
        self._dropped[stream, function.where] += records

    def finish(self, outputs: Iterable[OutputStream]) -> list[str]:
        """All that is to be said."""
        outputs = list(outputs)
        dropped = [
            f"Stream '{stream}': {count_of(count, 'record')} dropped by {where}."
            for (stream, where), count in self._dropped.items()
        ]
        unreadable = [
            f"Stream '{stream}', column '{name}': {count} texts are no date; they showed as NaT and went out "
            "unchanged where the function left them so."
            for stream, columns in self.unreadable.items()
            for name, count in columns.items()
        ]
        not_finite = [
            f"Stream '{output.name}', column '{name}': {count_of(count, 'infinite value')} written as null."
            for output in outputs
            for name, count in output.not_finite.items()
        ]
        notes = [note for output in outputs for note in output.notes]
        return [*self.said, *dropped, *unreadable, *not_finite, *notes]
