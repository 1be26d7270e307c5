"""Table Schema fields and properties."""

from __future__ import annotations

from typing import Any

import pytest

from flow_singer.errors import TransformError
from flow_singer.singer.fields import field_of, properties_from_table_schema
from flow_singer.singer.schema import read_property

PROPERTIES: list[dict[str, Any]] = [
    {"type": "integer", "minimum": 0},
    {"type": ["null", "number"], "multipleOf": 0.01},
    {"type": ["null", "string"], "format": "date-time", "title": "At"},
    {"type": "string", "enum": ["a", "b"]},
    {"type": ["null", "object"], "properties": {"x": {"type": "integer"}}},
    {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    {},
]


@pytest.mark.parametrize("one", PROPERTIES, ids=str)
def test_a_property_comes_back_verbatim_from_its_field(one: dict[str, Any]) -> None:
    field = field_of(read_property("x", one), required=False)
    assert properties_from_table_schema({"fields": [field]}) == ({"x": one}, None)


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": "number"}, "number"),
        ({"type": "string", "format": "singer.decimal"}, "number"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "time"}, "time"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "object"}, "object"),
        ({"type": "array"}, "array"),
        ({"type": ["integer", "string"]}, "any"),
    ],
)
def test_type_of_a_field(one: dict[str, Any], kind: str) -> None:
    assert field_of(read_property("x", one), required=False)["type"] == kind


def test_required_and_keys_are_not_nullable() -> None:
    fields = [
        {"name": "id", "type": "integer"},
        {"name": "must", "type": "string", "constraints": {"required": True, "maxLength": 3}},
        {"name": "may", "type": "string", "constraints": {"enum": ["a"]}, "description": "D"},
    ]
    properties, key = properties_from_table_schema({"fields": fields, "primaryKey": "id"})
    assert key == ["id"]
    assert properties == {
        "id": {"type": "integer"},
        "must": {"type": "string", "maxLength": 3},
        "may": {"type": ["null", "string"], "enum": ["a", None], "description": "D"},
    }


@pytest.mark.parametrize("field", [{"type": "integer"}, {"name": "x", "type": "colour"}])
def test_a_field_that_cannot_be_read_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(TransformError, match="cannot read"):
        properties_from_table_schema({"fields": [field]})


def test_a_pattern_is_kept_only_where_it_means_the_same() -> None:
    anchored = field_of(read_property("x", {"type": "string", "pattern": "^a+$"}), required=True)
    loose = field_of(read_property("x", {"type": "string", "pattern": "a+"}), required=True)
    assert anchored["constraints"] == {"pattern": "^a+$", "required": True}
    assert loose["constraints"] == {"required": True}
