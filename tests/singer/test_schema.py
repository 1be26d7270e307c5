"""Kinds, and properties that only ever widen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from command import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.errors import MessageError
from flow_singer.singer.references import resolve
from flow_singer.singer.schema import StreamSchema, read_property, widen, with_null, without_null

BASES: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": "number"},
    {"type": "number", "multipleOf": 0.01},
    {"type": "string"},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "enum": ["a", "b"]},
    {"enum": ["a", 1]},
    {"const": "a"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    {"type": "array", "items": {"type": "integer"}},
    {"type": ["null", "integer", "string"]},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"oneOf": [{"type": "string", "maxLength": 1}, {"type": "boolean"}]},
    {"$ref": "#/definitions/text"},
    {"description": "anything"},
    {},
]
ROOT = {"definitions": {"text": {"type": "string", "minLength": 1}}}
VALUES = [
    None,
    True,
    0,
    1,
    7,
    0.5,
    1.01,
    "",
    "a",
    "b",
    "abc",
    "2026-01-01",
    [],
    [1],
    ["x"],
    {},
    {"x": 1},
    {"x": "y"},
]
properties = st.sampled_from(BASES) | st.sampled_from(BASES).map(lambda one: with_null(one, ROOT))


def allows(one: dict[str, Any], value: object) -> bool:
    return jsonschema.Draft7Validator(
        {**ROOT, **one} if "$ref" not in one else {**ROOT, "allOf": [one]}
    ).is_valid(value)


@settings(max_examples=600)
@given(properties, properties, st.sampled_from(VALUES))
def test_widened_allows_whatever_either_allows(
    old: dict[str, Any], new: dict[str, Any], value: object
) -> None:
    wide = widen(old, new, ROOT)
    if allows(old, value) or allows(new, value):
        assert allows(wide, value)


@settings(max_examples=300)
@given(properties, properties)
def test_widening_twice_changes_nothing_more(old: dict[str, Any], new: dict[str, Any]) -> None:
    wide = widen(old, new, ROOT)
    assert widen(wide, wide, ROOT) == wide
    assert with_null(old, ROOT) == widen(with_null(old, ROOT), old, ROOT)


@settings(max_examples=200)
@given(properties, st.sampled_from(VALUES))
def test_with_null_allows_null_and_what_was_allowed(one: dict[str, Any], value: object) -> None:
    nullable = with_null(one, ROOT)
    assert allows(nullable, None)
    assert allows(nullable, value) or not allows(one, value)


@pytest.mark.parametrize(
    ("old", "new", "wide"),
    [
        ({"type": "integer"}, {"type": ["null", "number"]}, {"type": ["null", "number"]}),
        ({"type": "null"}, {"type": "integer"}, {"type": ["null", "integer"]}),
        (
            {"type": "string", "format": "date"},
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date-time"},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string"}, {"type": "string"}),
        ({"type": "integer"}, {"type": "string"}, {"type": ["integer", "string"]}),
        (
            {"type": "string", "maxLength": 2},
            {"type": ["null", "string"], "maxLength": 9},
            {"type": ["null", "string"]},
        ),
    ],
)
def test_widening_takes_the_narrowest_step(
    old: dict[str, Any], new: dict[str, Any], wide: dict[str, Any]
) -> None:
    assert widen(old, new) == wide


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        ({"type": ["null", "integer"]}, "integer"),
        ({"type": ["integer", "number"]}, "number"),
        ({"type": "number", "multipleOf": 1e-38}, "decimal"),
        ({"type": "number", "multipleOf": 5}, "number"),
        ({"type": "string", "format": "singer.decimal"}, "decimal-text"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "date-time"),
        ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}, "string"),
        ({"type": "string", "format": "time"}, "string"),
        ({"type": ["integer", "string"]}, "json"),
        ({"enum": ["a", None]}, "string"),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, "integer"),
        ({"$ref": "#/definitions/text"}, "string"),
        ({"$ref": "#/definitions/missing"}, "json"),
        ({"properties": {}}, "json"),
        ({}, "json"),
        (True, "json"),
    ],
)
def test_kind_of_a_property(one: Any, kind: str) -> None:
    assert read_property("x", one, ROOT).kind == kind


def test_references_in_a_circle_end() -> None:
    root = {"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}
    assert read_property("x", {"$ref": "#/definitions/a"}, root).kind == "json"


def test_all_of_and_ref_at_the_root_give_their_properties() -> None:
    schema = {
        "$ref": "#/definitions/base",
        "definitions": {
            "base": {
                "allOf": [
                    {"properties": {"a": {"type": "integer"}}},
                    {"properties": {"b": {"type": "string"}}},
                ]
            }
        },
    }
    assert list(StreamSchema({"stream": "s", "schema": schema}).properties) == ["a", "b"]
    assert "$ref" not in resolve(schema, schema)


@pytest.mark.parametrize(
    "message",
    [{"stream": "s"}, {"stream": "s", "schema": []}, {"stream": "s", "schema": {}, "key_properties": "id"}],
)
def test_a_schema_message_that_is_none_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="'s'"):
        StreamSchema(message)


def test_key_properties_may_be_missing() -> None:
    assert StreamSchema({"stream": "s", "schema": {}}).key_properties == []


def test_without_null_is_for_keys() -> None:
    assert without_null({"type": ["null", "string"]}) == {"type": "string"}
    assert without_null({"type": ["null", "string", "integer"]}) == {"type": ["string", "integer"]}


@pytest.mark.parametrize(
    "words",
    [
        {"required": [{}]},
        {"required": True},
        {"properties": {"a": {"type": "string", "format": []}}},
        {"properties": {"a": {"anyOf": 5}}},
        {"properties": {"a": {"oneOf": True}}},
        {"properties": {"a": {"allOf": [{"properties": 5}]}}},
    ],
)
def test_words_that_are_no_json_schema_say_nothing(words: dict[str, Any]) -> None:
    one = StreamSchema({"stream": "s", "schema": words})
    assert one.required == frozenset()
    assert all(found.kind in ("json", "string") for found in one.properties.values())


@pytest.mark.parametrize("word", ["allOf", "anyOf"])
def test_references_that_lead_back_come_to_an_end(word: str) -> None:
    root = {
        word: [{"$ref": "#"}],
        "properties": {"a": {word: [{"$ref": "#/properties/a"}], "type": "integer"}},
    }
    assert StreamSchema({"stream": "s", "schema": root}).properties["a"].kind == "integer"


@pytest.mark.parametrize(
    "properties",
    [{"\ud800": {}}, {"a": {"title": "\ud800"}}, {"a": {"enum": ["\ud800"]}}],
    ids=["name", "title", "enum"],
)
def test_a_lone_surrogate_in_a_schema_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="The SCHEMA of stream 's' cannot be written again"):
        StreamSchema({"stream": "s", "schema": {"properties": properties}})


def test_many_references_to_itself_take_no_time() -> None:
    """Followed each time, these would be 5 ** 12 steps."""
    branches = [{"$ref": "#/properties/a"}] * 5
    root = {"properties": {"a": {"anyOf": [{"type": "integer"}, *branches]}}}
    assert read_property("a", root["properties"]["a"], root).kind == "integer"
    draft_3 = {"properties": {"a": {"type": ["string", {"$ref": "#/properties/a"}]}}}
    assert read_property("a", draft_3["properties"]["a"], draft_3).kind == "string"


WRONG: list[Any] = [[], [{"id": {}}], None, "id", 5, True]


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("place", ["schema", "properties"])
def test_a_schema_of_the_wrong_shape_is_refused_with_what_it_has(place: str, value: object) -> None:
    schema = value if place == "schema" else {"type": "object", "properties": value}
    with pytest.raises(MessageError) as caught:
        StreamSchema({"type": "SCHEMA", "stream": "s", "schema": schema})
    assert caught.value.message == (
        f"The SCHEMA of stream 's' has no object in '{place}', but {json.dumps(value)}."
    )


def test_a_schema_that_gets_its_wrong_properties_from_elsewhere_is_refused() -> None:
    for schema in (
        {"allOf": [{"properties": []}]},
        {"$ref": "#/definitions/s", "definitions": {"s": {"properties": []}}},
    ):
        with pytest.raises(MessageError, match="no object in 'properties'"):
            StreamSchema({"type": "SCHEMA", "stream": "s", "schema": schema})


def test_a_long_value_of_the_wrong_shape_is_shown_in_part() -> None:
    with pytest.raises(MessageError, match=r"but \[0, 1, 2, [0-9, ]+…\."):
        StreamSchema({"type": "SCHEMA", "stream": "s", "schema": {"properties": list(range(100))}})


def test_a_schema_may_leave_its_properties_out() -> None:
    for schema in ({}, {"type": "object"}, {"properties": {}}):
        assert StreamSchema({"type": "SCHEMA", "stream": "s", "schema": schema}).properties == {}


@pytest.mark.parametrize("words", ["load out/", "transform t.py"])
def test_every_command_that_types_a_stream_refuses_it(
    tmp_path: Path, flow: Callable[..., Result], words: str
) -> None:
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    line = b'{"type":"SCHEMA","stream":"s","schema":{"properties":[]},"key_properties":[]}\n'
    result = flow(*words.split(), stdin=line)
    assert result.code == 65, result.stderr
    assert "has no object in 'properties', but []." in result.stderr
    assert "Traceback" not in result.stderr
