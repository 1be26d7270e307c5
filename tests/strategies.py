"""SCHEMAs and records, made together: any value that a tap may write, as JSON text, so that no digit is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from pushed import line, schema

ABSENT = object()

# ------------------------------------------------------------------------------------ plain Python values

INTEGERS = st.integers(-(2**70), 2**70) | st.integers(-5, 5)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = FLOATS | st.integers(-(2**60), 2**60)
TEXTS = st.text(max_size=8)
STAMPS = st.sampled_from(
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T02:00:00+02:00",
        "0001-01-01T00:00:00",
        "0000-00-00",
        "2026-01-01T00:00:00.1Z",
    ]
)
DATES = st.dates().map(str) | st.sampled_from(["0000-00-00", "2026-02-30"])
NESTED = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS | FLOATS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KINDS: dict[str, tuple[dict[str, Any], st.SearchStrategy[Any]]] = {
    "integer": ({"type": ["null", "integer"]}, INTEGERS),
    "number": ({"type": ["null", "number"]}, NUMBERS),
    "text": ({"type": ["null", "string"]}, TEXTS),
    "boolean": ({"type": ["null", "boolean"], "title": "B"}, st.booleans()),
    "stamp": ({"type": ["null", "string"], "format": "date-time"}, STAMPS),
    "date": ({"type": ["null", "string"], "format": "date"}, DATES),
    "exact": (
        {"type": ["null", "string"], "format": "singer.decimal"},
        st.decimals(allow_nan=False, allow_infinity=False).map(str),
    ),
    "object": ({"type": ["null", "object"]}, st.dictionaries(TEXTS, NESTED, max_size=3)),
    "array": ({"type": ["null", "array"], "items": {}}, st.lists(NESTED, max_size=3)),
    "any": ({}, NESTED),
    "union": ({"type": ["null", "integer", "string"]}, TEXTS | INTEGERS),
}


@st.composite
def streams(draw: st.DrawFn, *, least: int = 0) -> tuple[bytes, list[dict[str, Any]]]:
    """A SCHEMA line and records for it: keyed or not, with nulls, absent and undeclared keys."""
    keyed = draw(st.booleans())
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5))
    properties = {f"{kind} {i}": KINDS[kind] for i, kind in enumerate(kinds)}
    rows = []
    for n in range(draw(st.integers(least, 9))):
        row: dict[str, Any] = {"id": n * 3} if keyed else {}
        for name, (_, values) in properties.items():
            value = draw(st.sampled_from([ABSENT, None]) | values | values)
            if value is not ABSENT:
                row[name] = value
        if draw(st.integers(0, 4)) == 0:
            row["undeclared"] = draw(NESTED)
        rows.append(row)
    declared = {name: one for name, (one, _) in properties.items()}
    if keyed:
        declared = {"id": {"type": "integer"}, **declared}
    return schema("s", declared, ["id"] if keyed else []), rows


# ---------------------------------------------------------------------------- values as their JSON text

EDGES: dict[str, list[str]] = {
    "integer": [
        *(str(sign * (2**bits + step)) for sign in (1, -1) for bits in (53, 63, 64) for step in (-1, 0, 1)),
        *("1" + "0" * 37, "9" * 38, "1" + "0" * 38, "-" + "9" * 100, "0", "-0"),
        *("1.0", "-2.50e1", "1e3", "1E23", "9007199254740993.0", "0e7"),
    ],
    "number": [
        *("0.1", "-0.0", "0", "1.50", "1E5", "1e-7", "12.3E+2", "5e-324", "1.7976931348623157e308"),
        *("9007199254740993", "123456789012345678", "0.30000000000000004", "2.2250738585072014e-308"),
        *("0.1234567890123456789012345678901234567", "1e400", "1e-400", "99999999999999999999999999.5"),
    ],
    "decimal": [
        *("0.01", "1.10", "-0.00", "12", "1E+2", "9" * 36 + ".99", "9" * 37 + ".99", "1e400"),
        *("0." + "0" * 37 + "1", "0." + "1" * 38, "-" + "9" * 38),
    ],
    "decimal-text": [
        *("0.01", "1.10", "9" * 38, "9" * 39, "-." + "5", "5.", "+5", "007", "1E+400", "1e2", "-0.0"),
        *("", "n/a", "1_000", " 5", "5\n", "\u0663", "NaN", "Infinity", "0x1f", "--1", "1.2.3", "1,5"),
    ],
    "text": [
        *("", " ", "NULL", "null", "\\N", "\\", '"', '""', "'", ",", ";", "\t", "\n", "\r", "\r\n", "a\rb"),
        *("\x00", "\x1a", "\x1b[0m", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffe", "\uffff", "\u202e"),
        *("=1+1", " lead", "trail ", "007", "true", "1e5", "NaN", "e\u0301", "\u00e9", "\u07ff\u0800"),
        *("\U00010000", "\U0001f600", "\U0002ffff", "\U000e0001", "\U0010ffff", "{}", "[1", '{"a":1}'),
    ],
    "date-time": [
        *(
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00",
            "1969-12-31T23:59:59Z",
        ),
        *("0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00", "2026-01-01T02:00:00+0530"),
        *("2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.123456789", "2026-01-01 00:00:00.5"),
        *("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00+24:00"),
        *(
            "2026-01-01T00:00:00+99:99",
            "2026-01-01",
            "2026-01-01T00",
            "2026-01-01T00:00",
            "2026-01-01T00:00Z",
        ),
        *("2026-01-01T00:00:00+02", "2026-01-01t00:00:00z", "20260101T000000Z", "2026-1-1", "2026-001"),
        *("0000-00-00T00:00:00Z", "0000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"),
        *("2026-01-01T23:59:60Z", "10000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "yesterday", "", "now"),
        *(
            " 2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z\n",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
        ),
    ],
    "date": [
        *("0001-01-01", "1582-10-15", "1969-12-31", "2024-02-29", "9999-12-31"),
        *("0000-00-00", "0000-01-01", "2026-02-30", "2023-02-29", "10000-01-01", "2026-1-1", "20260101"),
        *("2026-01-01T00:00:00Z", "2026-01", "", "soon", " 2026-01-01", "2026-01-01 ", "\u0662026-01-01"),
    ],
    "time": ["00:00:00", "23:59:59.999999999", "12:30:00+02:00", "24:00:00", "23:59:60Z", "noon", ""],
    "duration": ["P1DT2H", "PT0.000000001S", "-P1Y", "P", "PT", "P1W", "1 day", ""],
    "boolean": ["true", "false"],
}
"""Values at the limits of what a kind holds, and past them: what taps write under that name."""

_TEXT_KINDS = frozenset({"text", "decimal-text", "date-time", "date", "time", "duration"})


def _texts_to_json(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Strings as JSON, with or without escapes."""
    return st.builds(lambda text, escaped: json.dumps(text, ensure_ascii=escaped), texts, st.booleans())


def _edges(kind: str) -> st.SearchStrategy[str]:
    edges = st.sampled_from(EDGES[kind])
    return _texts_to_json(edges) if kind in _TEXT_KINDS else edges


_OFFSETS = st.sampled_from(["", "Z", "Z", "+00:00", "-11:30", "+05:45", "+0200"])
_STAMPS = st.builds(
    lambda day, sep, time, digits, offset: (
        f"{day}{sep}{time:%H:%M:%S}{'.' + digits if digits else ''}{offset}"
    ),
    st.dates(),
    st.sampled_from("TTT "),
    st.times(),
    st.text("0123456789", max_size=10),
    _OFFSETS,
)
_INTEGER = st.integers(-(10**40), 10**40).map(str) | st.integers(-5, 5).map(str) | _edges("integer")
_NUMBER = FLOATS.map(repr) | st.integers(-(2**70), 2**70).map(str) | _edges("number")
_DECIMAL = st.decimals(-(10**30), 10**30, places=2).map(lambda one: f"{one:f}") | _edges("decimal")
_TEXT = _texts_to_json(st.text(max_size=6)) | _edges("text")
_BOOLEAN = st.sampled_from(EDGES["boolean"])
_JSON = st.recursive(
    st.sampled_from(["null", "[]", "{}"]) | _INTEGER | _NUMBER | _TEXT | _BOOLEAN,
    lambda inner: (
        st.builds(
            lambda items, comma: "[" + comma.join(items) + "]",
            st.lists(inner, max_size=3),
            st.sampled_from([",", ", ", " ,\t"]),
        )
        | st.builds(
            lambda items, colon: "{" + ",".join(f"{k}{colon}{v}" for k, v in items.items()) + "}",
            st.dictionaries(_TEXT, inner, max_size=3),
            st.sampled_from([":", ": "]),
        )
    ),
    max_leaves=6,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=3).map(
    lambda items: "{" + ", ".join(f"{k}:{v}" for k, v in items.items()) + "}"
)
_ARRAY = st.lists(_JSON, max_size=3).map(lambda items: "[" + ",".join(items) + "]")

DEFINITIONS = {
    "whole": {"type": ["null", "integer"]},
    "stamp": {"type": "string", "format": "date-time"},
    "a/b~c": {"$ref": "#/definitions/whole"},
    "tree": {"type": ["null", "object"], "properties": {"child": {"$ref": "#/definitions/tree"}}},
}

PROPERTIES: dict[str, tuple[Any, str, st.SearchStrategy[str]]] = {
    "integer": ({"type": ["null", "integer"]}, "integer", _INTEGER),
    "number": ({"type": ["number", "null"], "maximum": 10**38}, "number", _NUMBER),
    "cents": ({"type": ["null", "number"], "multipleOf": 0.01}, "decimal", _DECIMAL),
    "numeric": ({"type": ["null", "number"], "multipleOf": 1e-38}, "decimal", _DECIMAL),
    "decimal": (
        {"type": ["null", "string"], "format": "singer.decimal"},
        "decimal-text",
        _texts_to_json(_DECIMAL) | _edges("decimal-text"),
    ),
    "text": ({"type": ["null", "string"], "maxLength": 99}, "text", _TEXT),
    "boolean": ({"type": ["null", "boolean"]}, "boolean", _BOOLEAN),
    "stamp": (
        {"type": ["null", "string"], "format": "date-time"},
        "date-time",
        _texts_to_json(_STAMPS) | _edges("date-time"),
    ),
    "good stamp": ({"type": ["null", "string"], "format": "date-time"}, "date-time", _texts_to_json(_STAMPS)),
    "date": (
        {"type": ["null", "string"], "format": "date"},
        "date",
        _texts_to_json(st.dates().map(str)) | _edges("date"),
    ),
    "good date": (
        {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        "date",
        _texts_to_json(st.dates().map(str)),
    ),
    "time": ({"type": ["null", "string"], "format": "time"}, "text", _edges("time")),
    "duration": ({"type": ["null", "string"], "format": "duration"}, "text", _edges("duration")),
    "object": ({"type": ["null", "object"]}, "json", _OBJECT),
    "array": ({"type": ["null", "array"], "items": {"type": "integer"}}, "json", _ARRAY),
    "misfit": ({"type": ["null", "object"], "properties": {"a": {}}}, "json", _JSON),
    "any": ({}, "json", _JSON),
    "true": (True, "json", _JSON),
    "union": ({"type": ["null", "integer", "string"]}, "json", _INTEGER | _TEXT),
    "one of": ({"oneOf": [{"type": "number"}, {"type": "boolean"}]}, "json", _NUMBER | _BOOLEAN),
    "reference": ({"$ref": "#/definitions/whole"}, "integer", _INTEGER),
    "escaped reference": ({"$ref": "#/definitions/a~1b~0c"}, "integer", _INTEGER),
    "stamp reference": (
        {"anyOf": [{"$ref": "#/definitions/stamp"}, {"type": "null"}]},
        "date-time",
        _texts_to_json(_STAMPS),
    ),
    "recursive": ({"$ref": "#/definitions/tree"}, "json", _OBJECT),
    "all of": ({"allOf": [{"type": ["null", "string"]}, {"format": "date"}]}, "date", _edges("date")),
    "enum": ({"enum": ["", "a", None]}, "text", st.sampled_from(['""', '"a"'])),
    "integer enum": ({"enum": [1, 2**64, None]}, "integer", st.sampled_from(["1", str(2**64)])),
    "mixed enum": ({"enum": ["1", 1, None, [1.50]]}, "json", st.sampled_from(['"1"', "1", "[1.50]"])),
    "const": ({"const": "x"}, "text", st.just('"x"')),
}
"""By name: a property, its kind as docs/concepts/types.md has it, and JSON texts of its values."""

NAMES = [
    *("a", "A", "a b", " a b", "a.b", "a,b", 'a"b', "a\\b", "a\nb", "a\rb", "a;b", "", " ", "a-2", "a'b"),
    *("select", "index", "type", "stream", "record", "schema", "null", "None", "level_0", "__class__", "0"),
    *(
        "\u00c9t\u00e9",
        "E\u0301te\u0301",
        "\U0001f600",
        "\u2028",
        "\ufeffa",
        "\x00",
        "\x7f",
        "%",
        "$ref",
        "~1",
    ),
]


@dataclass
class Typed:
    """A stream of one SCHEMA.

    Attributes:
        kinds: the kind of each property.
        properties: the properties of its SCHEMA.
        rows: JSON texts by name; an absent key is not there.
    """

    kinds: dict[str, str]
    properties: dict[str, Any]
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def head(self) -> bytes:
        """The SCHEMA line."""
        return schema("s", self.properties, definitions=DEFINITIONS)

    @property
    def lines(self) -> list[bytes]:
        """The RECORD lines."""
        return [record_line(row) for row in self.rows]


def record_line(row: Mapping[str, str], *, stream: str = "s") -> bytes:
    """A RECORD line of values that are JSON text already."""
    values = ",".join(f"{json.dumps(name)}:{text}" for name, text in row.items())
    return f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{{{values}}}}}\n'.encode()


def typed(kind: str, texts: Iterable[str | None], *, name: str = "v") -> Typed:
    """One column of values of a property of `PROPERTIES`; None is an absent key."""
    one, found, _ = PROPERTIES[kind]
    return Typed({name: found}, {name: one}, [{} if text is None else {name: text} for text in texts])


@st.composite
def typed_streams(draw: st.DrawFn, *, most: int = 6) -> Typed:
    """A stream of any properties under any names, with nulls and absent keys."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    chosen = {name: PROPERTIES[draw(st.sampled_from(sorted(PROPERTIES)))] for name in names}
    rows = []
    for _ in range(draw(st.integers(0, most))):
        row = {}
        for name, (_, _, texts) in chosen.items():
            text = draw(st.sampled_from([ABSENT, "null"]) | texts | texts | texts)
            if text is not ABSENT:
                row[name] = text
        rows.append(row)
    kinds = {name: kind for name, (_, kind, _) in chosen.items()}
    return Typed(kinds, {name: one for name, (one, _, _) in chosen.items()}, rows)


def lines_of(rows: list[dict[str, Any]]) -> list[bytes]:
    """RECORD lines of plain values, with a `time_extracted` of their own each."""
    return [
        line({"type": "RECORD", "stream": "s", "record": row, "time_extracted": f"t{i}"})
        for i, row in enumerate(rows)
    ]
