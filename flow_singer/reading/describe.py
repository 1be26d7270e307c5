"""Bare files as resources: what they are, how they are written, and of which types their columns are.

From all rows, unless a sample was asked for. What is guessed and could be wrong is told, with the setting that decides;
what cannot be decided stays text, or is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from flow_singer.dataplaces import FileFormat, format_of
from flow_singer.errors import ConfigError, DataError
from flow_singer.nearnames import suggest
from flow_singer.reading.arrowtypes import property_of_arrow
from flow_singer.reading.columntypes import empty_key
from flow_singer.reading.csvdescription import columns_differ, describe_csv
from flow_singer.reading.encodings import check_encoding, find_encoding, opened
from flow_singer.reading.excelrows import sheets_of
from flow_singer.reading.guesses import shown_names
from flow_singer.reading.jsonrows import json_parts, jsonl_parts
from flow_singer.reading.jsontypes import JsonTypes, infer
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.resourcedescription import WHOLE
from flow_singer.reading.sheettypes import describe_sheet
from flow_singer.singer.fields import field_of
from flow_singer.singer.schema import read_property, widen

Notice = Callable[[str], None]

_SAYS_OF = {
    "delimiter": ("csv",),
    "date_format": ("csv",),
    "header_row": ("csv", "xlsx"),
    "null_values": ("csv", "xlsx"),
    "encoding": ("csv", "json", "jsonl"),
    "sheet": ("xlsx",),
    "sample_rows": ("csv", "json", "jsonl"),
}
"""The formats that a setting is for."""


def describe_files(
    paths: Sequence[Path], settings: ReadSettings, *, together: bool = True, notice: Notice
) -> list[dict[str, Any]]:
    """Describe bare files.

    Args:
        paths: at least one.
        settings: what a person said of them.
        together: whether several files are to be one stream; else each is one.
        notice: told of what is guessed and could be wrong.

    Returns:
        Table resources, with `flow:stream`; several where a file is a workbook of several sheets.

    Raises:
        ConfigError: a setting does not fit; the files do not have the same columns.
        DataError: a file is not what it seems.
    """
    if settings.encoding is not None:
        check_encoding(settings.encoding)
    if settings.date_format is not None and "%" not in settings.date_format:
        raise ConfigError(
            f"'date_format' is {settings.date_format!r}, in which nothing stands for day, month or year.",
            "For example: %d.%m.%Y, or %m/%d/%Y %H:%M.",
        )
    if together and (len(paths) > 1 or _format(paths[0], settings)[0] != "xlsx"):
        flat = [_together(paths, settings, notice)]
    else:
        flat = [
            one for path in paths for one in _of_files([path], *_format(path, settings), settings, notice)
        ]
    _check_names(flat, settings)
    if settings.stream is not None:
        if len(flat) > 1:
            raise ConfigError(
                f"'stream' names one stream, but there are {len(flat)}.",
                "Name one file, or one sheet with 'sheet'.",
            )
        flat[0]["flow:stream"] = settings.stream
    names = [one["flow:stream"] for one in flat]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(
            f"Two files would be the stream {twice!r}.",
            "Rename one, or name them by a glob to make them one stream.",
        )
    return flat


def _together(paths: Sequence[Path], settings: ReadSettings, notice: Notice) -> dict[str, Any]:
    """One resource of files that a glob matches: its name does not depend on how many there are today."""
    name = _common_name(paths)
    empty = [path for path in paths if _is_empty(path)]
    if empty and len(empty) < len(paths):
        notice(f"{shown_names(list(map(str, empty)))}: left out, as there is nothing in it.")
        paths = [path for path in paths if path not in empty]
    formats = [_format(path, settings) for path in paths]
    for path, one in zip(paths, formats, strict=True):
        if one != formats[0]:
            both = (_said_format(formats[0]), _said_format(one))
            raise ConfigError(
                f"{paths[0]} and {path} cannot be one stream: they are {both[0]} and {both[1]}.",
                "Name them one by one, or by a glob that only one kind matches.",
            )
    found = _of_files(paths, *formats[0], settings, notice)
    return (found[0] if len(found) == 1 else _joined(found, name)) | {"name": name, "flow:stream": name}


def _said_format(one: tuple[str, bool]) -> str:
    return f"{one[0]}, packed" if one[1] else one[0]


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _check_names(flat: Sequence[Mapping[str, Any]], settings: ReadSettings) -> None:
    """Refuse settings that name columns which no file has."""
    known = {field["name"] for one in flat for field in one["schema"]["fields"]}
    for setting, names in (("types", settings.types), ("key", settings.key)):
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"'{setting}' names the column {name!r}, which there is not.", suggest(name, known)
                )


def _of_files(
    paths: Sequence[Path], form: FileFormat, is_gzip: bool, settings: ReadSettings, notice: Notice
) -> list[dict[str, Any]]:
    """Resources of files of one format: one of text files, else one of each file or sheet."""
    for setting, forms in _SAYS_OF.items():
        if getattr(settings, setting) is not None and form not in forms:
            notice(f"{shown_names(list(map(str, paths)))}: '{setting}' says nothing of {form}.")
    try:
        match form:
            case "csv":
                found = describe_csv(paths, is_gzip=is_gzip, settings=settings, notice=notice)
                found[WHOLE] = _is_sure(found.pop("whole"), settings)
                _add_key(found["schema"], settings)
                return [_base(paths, form, is_gzip) | found]
            case "jsonl" | "json":
                return [_base(paths, form, is_gzip) | _json(paths, form, is_gzip, settings, notice)]
            case "parquet":
                return [_base([path], form, False) | _parquet(path, settings) for path in paths]
            case "xlsx":
                return [one for path in paths for one in _workbook(path, settings, notice)]
    except OSError as exc:
        raise DataError(
            f"{exc.filename or paths[0]} cannot be read: {exc.strerror or exc}.",
            "Check that it is there and readable.",
        ) from exc


def _base(paths: Sequence[Path], form: FileFormat, is_gzip: bool) -> dict[str, Any]:
    name = stream_name(paths[0])
    made: dict[str, Any] = {
        "name": name,
        "type": "table",
        "path": str(paths[0]) if len(paths) == 1 else list(map(str, paths)),
        "format": form,
        "flow:stream": name,
    }
    return made | {"compression": "gz"} if is_gzip else made


def _format(path: Path, settings: ReadSettings) -> tuple[FileFormat, bool]:
    form, is_gzip = format_of(path.name)
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if head.startswith(b"\x1f\x8b"):
            is_gzip = True
            with opened(path, True) as unpacked:
                head = unpacked.read(8)
    except (OSError, EOFError) as exc:
        raise DataError(
            f"{path} cannot be read: {exc}.", "Check that it is there, readable and whole."
        ) from exc
    said: Any = settings.format
    if said is not None:
        return said, is_gzip
    if head.startswith(b"PAR1"):
        return "parquet", is_gzip
    if head.startswith(b"PK\x03\x04") or head.startswith(b"\xd0\xcf\x11\xe0"):
        return "xlsx", is_gzip
    if form is None:
        raise ConfigError(
            f"The name of {path} does not tell what it holds.",
            "Say its 'format': csv, jsonl, json, parquet or xlsx.",
        )
    if form == "json" and _is_lines(path, is_gzip):
        return "jsonl", is_gzip
    return form, is_gzip


def _is_lines(path: Path, is_gzip: bool) -> bool:
    """Whether a file called JSON has an object on each of its first two lines."""
    with opened(path, is_gzip) as file:
        first, second = file.readline(1 << 20).strip(), file.readline(1 << 20).strip()
    return first[:1] == second[:1] == b"{" and first[-1:] == b"}"


def stream_name(path: Path) -> str:
    """The stream of a file: its name without what tells its format."""
    name = path.name
    for _ in range(2):
        stem, dot, ending = name.rpartition(".")
        if dot and stem and (ending.lower() == "gz" or format_of(name)[0] is not None):
            name = stem
    return name


def _common_name(paths: Sequence[Path]) -> str:
    """The stream of several files: the words that all their names begin with, else their folder."""
    names = [stream_name(path) for path in paths]
    prefix = names[0]
    while not all(name.startswith(prefix) for name in names):
        prefix = prefix[:-1]
    if any(prefix[-1:].isalpha() and name[len(prefix) : len(prefix) + 1].isalpha() for name in names):
        prefix = re.sub(r"[^\W\d_]+$", "", prefix)  # half a word
    plain = re.sub(r"[\W_\d]+$", "", prefix)
    return plain or paths[0].resolve().parent.name or "files"


def _is_sure(whole: bool, settings: ReadSettings) -> bool:
    """Whether each cell is known to be of its column's type."""
    return whole and not settings.types and settings.on_error == "error"


def _add_key(schema: dict[str, Any], settings: ReadSettings) -> None:
    if settings.key:
        schema["primaryKey"] = list(settings.key)


# ------------------------------------------------------------------------------------------ JSON


def _json(
    paths: Sequence[Path], form: str, is_gzip: bool, settings: ReadSettings, notice: Notice
) -> dict[str, Any]:
    """What a resource of JSON files says: their types, from the rows of all of them."""
    stream = "rows"  # of the lines by which types are found
    types = JsonTypes(stream)
    read = jsonl_parts if form == "jsonl" else json_parts
    encodings, whole = [], True
    for path in paths:
        title = str(path)
        encoding = settings.encoding or find_encoding(path, title, is_gzip=is_gzip, notice=notice)
        encodings.append(encoding)
        parts = read(path, title=title, is_gzip=is_gzip, encoding=encoding, stream=stream)
        if not infer(types, parts, title, settings.sample_rows):
            whole = False
            notice(
                f"{title}: types are inferred from its first {settings.sample_rows} rows, as 'sample_rows' says."
            )
    for path, encoding in zip(paths, encodings, strict=True):
        if encoding != encodings[0]:
            raise ConfigError(
                f"{paths[0]} is in the encoding {encodings[0]}, but {path} in {encoding}, so that they cannot be one stream.",
                "JSON should be UTF-8: write them so, or name them one by one.",
            )
    for name in settings.key:
        if "null" in types.types.get(name, ()):
            raise empty_key(str(paths[0]), name)
    schema = _schema_of(types.properties(), settings)
    if not schema["fields"]:
        raise DataError(f"{paths[0]} has no rows with any property.", "Get the file again.")
    return {"encoding": encodings[0], "schema": schema, WHOLE: _is_sure(whole, settings)}


def _schema_of(properties: Mapping[str, Mapping[str, Any]], settings: ReadSettings) -> dict[str, Any]:
    """The Table Schema of properties, less what it cannot say: that is in `flow:jsonSchema` of each field."""
    fields = []
    for name, one in properties.items():
        said = settings.types.get(name)
        if said is not None:
            fields.append({"name": name, "type": said})
            continue
        field = field_of(read_property(name, one), required=False)
        if name in settings.key:
            field.pop("flow:jsonSchema")
        fields.append(field)
    schema: dict[str, Any] = {"fields": fields, "missingValues": []}
    _add_key(schema, settings)
    return schema


# ------------------------------------------------------------------------------------------ Parquet, Excel


def _parquet(path: Path, settings: ReadSettings) -> dict[str, Any]:
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as exc:
        raise DataError(
            f"{path} cannot be read as Parquet: {exc}.", "Get the file again; unpack it where it is packed."
        ) from exc
    return {"schema": _schema_of({one.name: property_of_arrow(one.type) for one in schema}, settings)}


def _workbook(path: Path, settings: ReadSettings, notice: Notice) -> list[dict[str, Any]]:
    base = _base([path], "xlsx", path.name.lower().endswith(".gz"))
    sheets = sheets_of(path, str(path), settings.sheet)
    found = []
    for sheet in sheets:
        title = f"sheet {sheet!r} of {path}"
        described = describe_sheet(path, title, sheet, settings, notice)
        if described is None:
            notice(f"{title} is empty, and is left out.")
            continue
        header, fields = described
        stream = base["name"] if len(sheets) == 1 else sheet
        schema: dict[str, Any] = {"fields": fields, "missingValues": []}
        _add_key(schema, settings)
        one = {
            "name": stream,
            "flow:stream": stream,
            "dialect": {"sheetName": sheet, "flow:skipRows": header.skip_lines, "header": False},
            "schema": schema,
        }
        found.append(base | one)
    if not found:
        raise DataError(f"{path} has no sheet with anything in it.", "Get the file again.")
    return found


# ------------------------------------------------------------------------------------------ several files


def _joined(resources: Sequence[dict[str, Any]], stream: str) -> dict[str, Any]:
    """One resource of several files, whose columns must agree."""
    first = resources[0]
    made = {**first, "name": stream, "flow:stream": stream, "path": [one["path"] for one in resources]}
    made[WHOLE] = all(one.get(WHOLE) for one in resources)
    for other in resources[1:]:
        _check_alike(first, other)
    columns: dict[str, list[dict[str, Any]]] = {}
    for one in resources:
        for field in one["schema"]["fields"]:
            columns.setdefault(field["name"], []).append(field)
    made["schema"] = {**first["schema"], "fields": [_widest(column) for column in columns.values()]}
    return made


def _columns(resource: Mapping[str, Any]) -> list[str]:
    return [field["name"] for field in resource["schema"]["fields"]]


def _check_alike(first: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    if first.get("dialect") != other.get("dialect"):
        raise ConfigError(
            f"{first['path']} and {other['path']} cannot be one stream: they differ in dialect.",
            "Name them one by one; or say for all of them what it is, such as 'header_row'.",
        )
    names, others = _columns(first), _columns(other)
    is_ordered = first["format"] == "csv"
    if (names != others) if is_ordered else (first["format"] == "parquet" and set(names) != set(others)):
        raise columns_differ(first["path"], names, other["path"], others)


def _widest(column: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A field that takes the cells of all files."""
    first = column[0]
    if all(one == first for one in column):
        return first
    missing = list(dict.fromkeys(text for one in column for text in one.get("missingValues", [""])))
    if all("flow:jsonSchema" in one for one in column):
        schema = first["flow:jsonSchema"]
        for one in column[1:]:
            schema = widen(schema, one["flow:jsonSchema"])
        return field_of(read_property(first["name"], schema), required=False)
    kinds = {one["type"] for one in column}
    plain = [
        {key: value for key, value in one.items() if key not in ("type", "missingValues")} for one in column
    ]
    if kinds == {"integer", "number"} and all(set(one) == {"name"} for one in plain):
        return {"name": first["name"], "type": "number", "missingValues": missing}
    if len(kinds) == 1 and all(one == plain[0] for one in plain):
        return {**first, "missingValues": missing}
    return {"name": first["name"], "type": "string"}
