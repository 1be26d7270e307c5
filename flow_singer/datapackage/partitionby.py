"""What decides on the file of a row, as a person writes it: `created_at:month`, `country`, `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.singer.schema import Kind, StreamSchema

Unit = Literal["year", "month", "day", "hour", "value"]
UNITS: tuple[Unit, ...] = get_args(Unit)

PARTITION_PROPERTY = "flow:partitionBy"
"""Stands in a resource whose rows are spread over files; `partition` in `flow:parts` says what is in each."""

RUN = "run"
_TIMELESS: frozenset[Kind] = frozenset({"integer", "number", "decimal", "decimal-text", "boolean"})


@dataclass(frozen=True)
class PartitionBy:
    """What decides on the file of a row.

    Attributes:
        column: the property whose value does; None for the run.
        unit: how much of the value.
    """

    column: str | None
    unit: Unit = "value"

    @classmethod
    def parse(cls, text: str) -> PartitionBy:
        """Read `run`, `COLUMN` or `COLUMN:UNIT`.

        Raises:
            ConfigError: it is none of these.
        """
        if text == RUN:
            return cls(None)
        column, colon, unit = text.rpartition(":")
        if not colon:
            column, unit = text, "value"
        known = next((one for one in UNITS if one == unit), None)
        if not column or known is None:
            near = did_you_mean(near_names(unit, UNITS))
            raise ConfigError(
                f"--partition-by {text}: '{unit}' is no unit. {near}".rstrip(),
                "Write COLUMN, COLUMN:UNIT with year, month, day, hour or value, or run.",
            )
        return cls(column, known)

    def __str__(self) -> str:
        if self.column is None:
            return RUN
        whole = self.unit == "value" and self.column != RUN and ":" not in self.column
        return self.column if whole else f"{self.column}:{self.unit}"

    def suits(self, schema: StreamSchema) -> bool:
        """Whether a stream has what decides.

        Raises:
            ConfigError: its column is there, and holds no times.
        """
        one = schema.properties.get(self.column or "")
        if self.column is None or one is None:
            return self.column is None
        if self.unit != "value" and one.kind in _TIMELESS:
            raise ConfigError(
                f"--partition-by {self}: column '{self.column}' of stream '{schema.stream}' holds no times "
                f"({one.kind}), so that it has no {self.unit}.",
                f"Leave ':{self.unit}' out to have a file for each value, or name another column.",
            )
        return True


def partition_of(resource: Mapping[str, Any] | None) -> PartitionBy | None:
    """What decides on the file of a row in a resource that Flow wrote; None where it has no partitions."""
    text = None if resource is None else resource.get(PARTITION_PROPERTY)
    return PartitionBy.parse(text) if isinstance(text, str) else None
