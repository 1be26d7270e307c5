"""What a person may say about data that is to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names, suggest

OnError = Literal["error", "skip", "null"]
FileChange = Literal["time", "size", "hash"]
"""What tells that a file is another one: its size and the time of its last change, its size alone, its content."""

TYPES = (
    *("string", "integer", "number", "boolean", "date", "datetime", "time", "duration", "year"),
    *("object", "array", "any"),
)
"""Table Schema types that a person may give to a column."""


@dataclass(frozen=True)
class ReadSettings:
    """How data are to be read; what is None is found out.

    Attributes:
        encoding: of text files, as Python names it.
        delimiter: between the cells of CSV.
        header_row: which row of CSV or of a sheet names the columns, from 1; 0: none does.
        types: Table Schema types of columns, by name.
        null_values: texts that stand for null.
        date_format: of dates in CSV, as `%d.%m.%Y`.
        sheet: of a workbook; None for all.
        sample_rows: how many rows of a file types are inferred from; None for all.
        on_error: what becomes of a cell that does not fit, or a row of another length: the read stops; the row is
            left out; the cell is null (a row is left out).
        key: the columns that identify a row.
        stream: the name of the stream of a file.
        trust: go on where a descriptor does not fit its data.
        replication_key: the column that incremental runs go by.
        format: of files whose names do not tell.
        new_files: what tells that a file is another one, where runs read only files that none has read.
        storage_options: for the file system of a store; secret.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    null_values: Sequence[str] | None = None
    date_format: str | None = None
    sheet: str | None = None
    sample_rows: int | None = None
    on_error: OnError = "error"
    key: Sequence[str] = ()
    stream: str | None = None
    trust: bool = False
    replication_key: str | None = None
    format: str | None = None
    new_files: FileChange | None = None
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def settings_of(config: Mapping[str, Any]) -> ReadSettings:
    """The settings by their names, as a config has them; `path` and what the Singer SDK adds are passed over.

    Raises:
        ConfigError: there is no such setting, or no such type of a column; with near names. Two settings contradict
            each other.
    """
    known = {one.name for one in fields(ReadSettings)}
    for name in config:
        if name not in known and name not in _OTHERS:
            raise ConfigError(f"There is no setting '{name}' of data.", suggest(name, known))
    types = dict(config.get("types") or {})
    for column, kind in types.items():
        if kind not in TYPES:
            near = did_you_mean([repr(one) for one in near_names(str(kind), TYPES)])
            raise ConfigError(
                f"The setting 'types' gives the column {column!r} the type {kind!r}, which there is not.",
                near or f"There are: {', '.join(TYPES)}.",
            )
    if config.get("new_files") is not None and config.get("replication_key") is not None:
        raise ConfigError(
            "'new_files' and 'replication_key' both say what is new: of a file that was read, no row is, and of one "
            "that was not, each is.",
            "Leave 'replication_key' out, or read all files each time, without 'new_files'.",
        )
    nulls = config.get("null_values")
    given = {name: value for name, value in config.items() if name in known and value is not None}
    return ReadSettings(
        **{
            **given,
            "types": types,
            "null_values": None if nulls is None else tuple(nulls),
            "key": tuple(config.get("key") or ()),
        }
    )


_OTHERS = frozenset(
    [
        "path",
        "stream_maps",
        "stream_map_config",
        "faker_config",
        "flattening_enabled",
        "flattening_max_depth",
        "flattening_max_key_length",
        "batch_config",
        "replication_key_as_start",
    ]
)
