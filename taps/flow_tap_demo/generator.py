"""Record i of a stream, straight from i: the text of RECORD lines, without a record ever being built.

A property takes its values from a cycle, a list drawn once from the seed and written to JSON once: record i
has value ``i % length`` of each cycle. The lengths are distinct primes, so that a combination comes back only
after their product. What is left per record is one ``bytes % tuple`` in C; hence hundreds of thousands of
records a second, and any slice of a stream at the cost of that slice.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from typing import Any, Final, TypeVar

from singer_sdk.singerlib.json import serialize_json

T = TypeVar("T")

ABSENT: Final = object()
"""In the values of a cycle: the record does not have the key."""

EPOCH: Final = date(2020, 1, 1)
"""The day of `updated_at` of record 0."""

SECONDS_PER_DAY: Final = 86_400


class Draw:
    """Seeded choices.

    Built on `random.Random.random` alone, the one method whose sequence Python promises to keep.
    """

    def __init__(self, *names: object) -> None:
        self.unit = random.Random(":".join(map(str, names))).random  # noqa: S311

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1; limit at most 2**53."""
        return int(self.unit() * limit)

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[self.below(len(values))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def pool(self, length: int, make: Callable[[Draw], T], awkward: Iterable[T] = ()) -> list[T]:
        """A list of that length; the awkward values come first, so that short streams have them."""
        values = [make(self) for _ in range(length)]
        first = list(awkward)
        return first + values[len(first) :]


@dataclass(frozen=True)
class Counter:
    """A property that counts: `first` + i, written by a `template` of JSON text with one %d."""

    name: str
    first: int
    template: str = "%d"

    def placeholder(self) -> bytes:
        """Its part of the line's template."""
        return f',"{self.name}":{self.template}'.encode()

    def columns(self, start: int, stop: int) -> list[Iterable[Any]]:
        """What fills the placeholder for records start to stop - 1."""
        return [range(self.first + start, self.first + stop)]


class Cycle:
    """A property whose values come round again; every fifth text is in ASCII, with \\u escapes."""

    def __init__(self, name: str, values: Iterable[Any]) -> None:
        self.name = name
        self.values = tuple(values)
        self.texts = [
            b""
            if value is ABSENT
            else f',"{name}":{serialize_json(value, ensure_ascii=index % 5 == 4)}'.encode()
            for index, value in enumerate(self.values)
        ]

    def placeholder(self) -> bytes:
        """Its part of the line's template; the key is part of the text, as it may be absent."""
        return b"%b"

    def columns(self, start: int, stop: int) -> list[Iterable[Any]]:
        """What fills the placeholder for records start to stop - 1."""
        offset = start % len(self.texts)
        repeats = (offset + stop - start) // len(self.texts) + 1
        return [(self.texts * repeats)[offset : offset + stop - start]]


class Clock:
    """A date-time that never falls as i grows: EPOCH plus i steps, with microseconds, some values twice.

    The texts have one width and end in Z, so that they compare as the times do.
    """

    def __init__(self, name: str, step_s: int, draw: Draw) -> None:
        if SECONDS_PER_DAY % step_s:
            raise ValueError(f"A day is not a whole number of steps of {step_s} s.")
        self.name = name
        self.slots = SECONDS_PER_DAY // step_s
        self.times: list[str] = []
        for slot in range(self.slots):
            minutes, seconds = divmod(slot * step_s, 60)
            time = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{draw.below(1_000_000):06}"
            # Equal neighbours show whether a reader resumes with >= (right) or with > (loses records).
            self.times.append(self.times[-1] if slot % 10 == 7 else time)
        self._texts = [time.encode() for time in self.times]

    def day(self, i: int) -> str:
        """The date of record i."""
        return (EPOCH + timedelta(days=i // self.slots)).isoformat()

    def text(self, i: int) -> str:
        """The value of record i, such as 2020-01-01T00:00:20.123456Z."""
        return f"{self.day(i)}T{self.times[i % self.slots]}Z"

    def first_from(self, bookmark: datetime, count: int) -> int:
        """The first of `count` records that is not older than the (aware) bookmark; `count` if none is."""
        instant = bookmark.astimezone(UTC)
        return bisect_left(range(count), instant, key=lambda i: datetime.fromisoformat(self.text(i)))

    def placeholder(self) -> bytes:
        """Its part of the line's template."""
        return f',"{self.name}":"%bT%bZ"'.encode()

    def columns(self, start: int, stop: int) -> list[Iterable[Any]]:
        """What fills the placeholder for records start to stop - 1, all of one day."""
        slot = start % self.slots
        return [repeat(self.day(start).encode()), self._texts[slot : slot + stop - start]]


Field = Counter | Cycle | Clock


class Generator:
    """RECORD lines of one stream.

    Args:
        stream: its name, of letters and underscores.
        fields: the properties in the order in which they are written; the first is a Counter, and one is
            a Clock.
        select: what selection leaves of the value of a property, or ABSENT. Asked once per distinct value,
            not per record; the first field is always kept.
        version: the `version` of the RECORD messages, if they have one.
    """

    def __init__(
        self,
        stream: str,
        fields: Sequence[Field],
        select: Callable[[str, Any], Any] = lambda _, value: value,
        version: int | None = None,
    ) -> None:
        self.clock = next(field for field in fields if isinstance(field, Clock))
        self._fields: list[Field] = [fields[0]]
        for field in fields[1:]:
            if isinstance(field, Cycle):
                values = [value if value is ABSENT else select(field.name, value) for value in field.values]
                if any(value is not ABSENT for value in values):
                    self._fields.append(Cycle(field.name, values))
            elif select(field.name, None) is not ABSENT:
                self._fields.append(field)
        record = b"".join(field.placeholder() for field in self._fields)[1:]
        envelope = b"" if version is None else f',"version":{version}'.encode()
        self._template = b'{"type":"RECORD","stream":"%b","record":{%b}%b}\n' % (
            stream.encode(),
            record,
            envelope,
        )

    def lines(self, start: int, stop: int) -> Iterator[bytes]:
        """Records start to stop - 1, in blocks of whole lines of at most a day's records each."""
        slots = self.clock.slots
        while start < stop:
            end = min(stop, (start // slots + 1) * slots)
            columns = [column for field in self._fields for column in field.columns(start, end)]
            yield b"".join(map(self._template.__mod__, zip(*columns)))  # noqa: B905 - repeat() has no end
            start = end
