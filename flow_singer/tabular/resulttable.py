"""A frame as a table: columns with names that are text, and the named levels of its index among them."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

import numpy as np
import pandas as pd

from flow_singer.errors import TransformError
from flow_singer.tabular.columnencoding import encode_column
from flow_singer.tabular.frames import MARK
from flow_singer.tabular.plainvalues import encode_each, is_missing


@dataclass
class Table:
    """What a function returned.

    Attributes:
        arrays: its columns, n cells each.
        index: n labels that may tell the records the rows came from.
        notes: what a person should hear of its labels.
    """

    arrays: dict[str, Any]
    index: pd.Index
    notes: list[str] = field(default_factory=list)


def unknown_rows(count: int) -> pd.RangeIndex:
    """Labels of n rows that are no record's."""
    return pd.RangeIndex(-1, -count - 1, -1)


def table_of(frame: pd.DataFrame, stream: str) -> Table:
    """Name the columns of a frame.

    An index with a name is a column, as for `to_sql` and `to_csv`; of a MultiIndex each level with a name. An
    unnamed index of integers are row numbers. Any other unnamed index is left out, and told.

    Args:
        frame: n rows.
        stream: for messages.

    Raises:
        TransformError: columns have several levels, no name or the same name; an index has the name of a column
            that holds something else.
    """
    _refuse_levels(frame, stream)
    names = [_label_text(label, stream) for label in frame.columns]
    index = frame.index
    if index.nlevels == 1 and index.name in (None, MARK):
        table = Table({}, index)
        unnamed = [] if index.name == MARK else [0]
    else:
        table, unnamed = _table_of_levels(frame, names, stream)
    for position, name in enumerate(names):
        if name in table.arrays:
            raise TransformError(
                f"stream '{stream}': the result has two columns named '{name}'.", "Rename or drop one."
            )
        table.arrays[name] = frame.iloc[:, position].array
    if others := [label for label in frame.columns if not isinstance(label, str)]:
        shown = ", ".join(_label_text(label, stream) for label in others[:5])
        table.notes.append(
            f"Stream '{stream}': labels of columns that are no text became text: {shown}"
            f"{', …' if len(others) > 5 else ''}."
        )
    for level in unnamed:
        labels = index.get_level_values(level)
        if len(labels) and not pd.api.types.is_integer_dtype(labels.dtype):
            shown = ", ".join(str(label) for label in labels[:3])
            table.notes.append(
                f"Stream '{stream}': the index of the result has no name and was left out ({shown}"
                f'{", …" if len(labels) > 3 else ""}). To keep it as a column, name it: .rename_axis("name").'
            )
    return table


def _table_of_levels(frame: pd.DataFrame, names: list[str], stream: str) -> tuple[Table, list[int]]:
    """The named levels of an index as columns, and which levels have no name."""
    index = frame.index
    rows: pd.Index = unknown_rows(len(frame))
    table = Table({}, rows)
    unnamed = []
    for level, label in enumerate(index.names):
        labels = index.get_level_values(level)
        if label == MARK:
            table.index = labels
        elif label is None:
            unnamed.append(level)
        else:
            name = _label_text(label, stream)
            if name in names and _is_column(frame.iloc[:, names.index(name)], labels):
                continue  # set_index(drop=False)
            if name in names or name in table.arrays:
                raise TransformError(
                    f"stream '{stream}': the index of the result is named '{name}', and so is a column.",
                    f'Leave one out, .reset_index(drop=True) or .drop(columns="{name}"), or name it otherwise: '
                    '.rename_axis("...").',
                )
            table.arrays[name] = labels.array
    if table.index is rows and len(unnamed) == 1:  # as groupby(...).apply has them: group, then row
        table.index = index.get_level_values(unnamed[0])
    return table, unnamed


def _is_column(column: pd.Series[Any], labels: pd.Index) -> bool:
    texts = encode_column(column.array, None).to_json()
    return bool(texts.equals(encode_column(labels.array, None).to_json()))


def _refuse_levels(frame: pd.DataFrame, stream: str) -> None:
    tuples = [label for label in frame.columns if isinstance(label, tuple)]
    if not tuples:
        return
    shown, joined = tuples[:3], ["_".join(str(part) for part in label if part != "") for label in tuples[:3]]
    raise TransformError(
        f"stream '{stream}': columns of the result have names of several levels: "
        f"{', '.join(map(str, shown))}{', …' if len(tuples) > 3 else ''}.",
        f"Give each one name, for example {', '.join(joined)}: df.columns = ['_'.join(map(str, c)) for c in "
        "df.columns]; or name them where they are made: .agg(qty_min=('qty', 'min')).",
    )


def _label_text(label: Hashable, stream: str) -> str:
    """A label as text: as a cell with it would be written, a date without its midnight."""
    if isinstance(label, str):
        return label
    if is_missing(label):
        raise TransformError(
            f"stream '{stream}': a column of the result has no name ({label}).",
            "Name it: .rename(columns=...), .rename_axis(...), or drop it.",
        )
    plain: Any = pd.Timestamp(label) if isinstance(label, np.datetime64) else label
    if isinstance(plain, datetime) and plain.tzinfo is None and plain.time() == time():
        plain = plain.date()
    try:
        (text,), _, _ = encode_each([plain])
    except TransformError as exc:
        raise TransformError(
            f"stream '{stream}': a column of the result has the label {label!r}. {exc.message}",
            "Rename it to a text.",
        ) from exc
    value = json.loads(text or "null")
    return value if isinstance(value, str) else str(text)


NO_TABLE: dict[type, str] = {
    pd.Series: "Make a table of it: .reset_index() with its index as columns, .to_frame() as one column; of a row "
    "of iterrows, .to_dict().",
    pd.Index: "Make a table of it: .to_frame(index=False).",
    np.ndarray: "Make a table of it: pd.DataFrame(array, columns=[...]).",
    pd.api.typing.DataFrameGroupBy: "Say what becomes of each group: .sum(), .agg(...), .apply(...).",
    pd.api.typing.SeriesGroupBy: "Say what becomes of each group, and .reset_index().",
}
"""Types that are like a table and can be iterated over, but are none, and what to do with a value of each."""
