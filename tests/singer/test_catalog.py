from __future__ import annotations

import copy
from typing import Any

import pytest

from flow_singer.errors import ConfigError
from flow_singer.singer.catalog import (
    CatalogResult,
    apply_filter,
    apply_rules,
    extend_select,
)
from flow_singer.singer.selection import legacy_properties, selected_streams

ORDERS = "db-public.orders"


def discovered() -> dict[str, Any]:
    """The catalog of the golden cases: users has little metadata, orders none."""
    text = {"type": ["null", "string"]}
    return {
        "streams": [
            {
                "tap_stream_id": "users",
                "stream": "users",
                "schema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "integer"},
                        "name": text,
                        "addr": {"type": "object", "properties": {"street": text, "zip": text}},
                        "blob": text,
                    },
                },
                "metadata": [
                    {"breadcrumb": [], "metadata": {"selected-by-default": True}},
                    {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
                    {"breadcrumb": ["properties", "name"], "metadata": {"inclusion": "available"}},
                    {"breadcrumb": ["properties", "blob"], "metadata": {"inclusion": "unsupported"}},
                ],
            },
            {
                "tap_stream_id": ORDERS,
                "stream": "orders",
                "schema": {"type": "object", "properties": {"id": text, "total": text, "x-y": text}},
            },
        ]
    }


def metadata(result: CatalogResult, stream_id: str) -> dict[str, dict[str, Any]]:
    stream = next(s for s in result.catalog["streams"] if s["tap_stream_id"] == stream_id)
    return {".".join(entry["breadcrumb"][1::2]): entry["metadata"] for entry in stream["metadata"]}


def selected(result: CatalogResult, stream_id: str) -> set[str]:
    return {path for path, mark in metadata(result, stream_id).items() if mark["selected"]}


@pytest.mark.parametrize(
    ("select", "select_filter", "users", "orders"),
    [
        pytest.param(
            ["*.*", r"!db-public\.orders"],
            [],
            {"", "id", "name", "addr", "addr.street", "addr.zip"},
            set(),
            id="all-but-one-stream",
        ),
        pytest.param(
            ["users", "!users.addr"],
            [],
            {"", "id", "name", "addr.street", "addr.zip"},
            set(),
            id="stream-only",
        ),
        pytest.param(["users.addr"], [], {"", "addr"}, set(), id="property-without-its-children"),
        pytest.param(
            ["!users.addr.zip", "us*.addr.*", "*orders*.id", "!*.name"],
            [],
            {"", "addr", "addr.street"},
            {"", "id"},
            id="excludes-win-in-any-order",
        ),
        pytest.param(["users.id"], ["!users"], {"id"}, set(), id="filter-after-everything"),
        pytest.param(["USERS.*"], [], set(), set(), id="case-matters"),
    ],
)
def test_select_rules_mark_the_golden_catalog(select, select_filter, users, orders):
    result = apply_rules(discovered(), select=select, select_filter=select_filter)
    assert selected(result, "users") == users
    assert selected(result, ORDERS) == orders
    legacy = {stream["tap_stream_id"]: stream["selected"] for stream in result.catalog["streams"]}
    assert legacy == {"users": "" in users, ORDERS: "" in orders}


def test_the_default_rule_selects_all_but_the_unsupported():
    result = apply_rules(discovered(), select=["*.*"])
    assert selected(result, "users") == {"", "id", "name", "addr", "addr.street", "addr.zip"}
    assert selected(result, ORDERS) == {"", "id", "total", "x-y"}
    assert result.warnings == []


def test_missing_metadata_is_created_with_its_inclusion():
    result = apply_rules(discovered(), select=["*.*"])
    users, orders = metadata(result, "users"), metadata(result, ORDERS)
    assert users["addr"]["inclusion"] == "automatic"
    assert users["addr.street"]["inclusion"] == "available"
    assert {path: mark["inclusion"] for path, mark in orders.items()} == {
        "": "automatic",
        "id": "automatic",
        "total": "automatic",
        "x-y": "automatic",  # Meltano makes none here, and then no rule could name it
    }


def test_an_included_nested_property_selects_what_it_stands_in():
    result = apply_rules(discovered(), select=["users.addr.zip"])
    assert selected(result, "users") == {"", "addr", "addr.zip"}


def test_selected_by_default_is_ignored_once_rules_are_applied():
    assert selected_streams(apply_rules(discovered(), select=[ORDERS.replace(".", r"\.")]).catalog) == {
        ORDERS: ["id", "total", "x-y"]
    }


def test_the_given_catalog_is_not_changed():
    catalog = discovered()
    apply_rules(catalog, select=["users.id"], schema={"users": {"id": {"type": "string"}}})
    assert catalog == discovered()


def test_metadata_rules_reach_streams_properties_and_legacy_keys():
    result = apply_rules(
        discovered(),
        select=["*.*"],
        metadata={
            "us*": {
                "replication-method": "INCREMENTAL",
                "addr": {"zip": {"note": 1}},
                "name": {"selected": False},
            }
        },
    )
    users = metadata(result, "users")
    assert users[""]["replication-method"] == "INCREMENTAL"
    assert users["addr.zip"]["note"] == 1
    assert users["name"]["selected"] is False
    assert result.catalog["streams"][0]["replication_method"] == "INCREMENTAL"
    assert result.warnings == []


@pytest.mark.parametrize(
    "rules",
    [
        {"db-public": {"orders": {"id": {"mark": 1}}}},
        {"db-public.orders": {"id": {"mark": 1}}},
        {"db-public?orders": {"id": {"mark": 1}}},
    ],
    ids=["split", "whole", "wildcard"],
)
def test_metadata_reaches_a_stream_whose_id_has_a_dot(rules):
    result = apply_rules(discovered(), select=["*.*"], metadata=rules)
    assert metadata(result, ORDERS)["id"]["mark"] == 1
    assert result.warnings == []


def test_metadata_cannot_select_an_unsupported_property():
    result = apply_rules(discovered(), select=["*.*"], metadata={"users": {"blob": {"selected": True}}})
    assert metadata(result, "users")["blob"]["selected"] is False


def test_schema_rules_replace_a_property_and_add_a_new_one():
    result = apply_rules(
        discovered(),
        select=["*.*"],
        schema={"users": {"addr": {"type": "string"}, "new": {"type": "number"}}},
    )
    properties = result.catalog["streams"][0]["schema"]["properties"]
    assert properties["addr"] == {"type": "string"}
    assert properties["new"] == {"type": "number"}
    assert "new" in selected(result, "users")


def test_a_schema_pattern_changes_what_it_matches_and_adds_nothing():
    result = apply_rules(discovered(), select=["*.*"], schema={"*": {"na*": {"type": "number"}}})
    properties = result.catalog["streams"][0]["schema"]["properties"]
    assert properties["name"] == {"type": "number"}
    assert "na*" not in properties


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ({"select": ["user.*"]}, "select rule 'user.*': no stream is called so. Did you mean users?"),
        (
            {"select": ["users.nme"]},
            "select rule 'users.nme': no property matches 'nme'. Did you mean users.name?",
        ),
        ({"select": ["*.*"], "select_filter": ["nope"]}, "select_filter 'nope': no stream is called so."),
        ({"select": ["*.*"], "metadata": {"x": {"k": 1}}}, "metadata of 'x': no stream is called so."),
        (
            {"select": ["*.*"], "metadata": {"users": {"nme": {"k": 1}}}},
            "metadata of 'users': no property matches 'nme'. Did you mean name?",
        ),
        ({"select": ["*.*"], "schema": {"x": {"k": {}}}}, "schema of 'x': no stream is called so."),
    ],
)
def test_a_rule_that_matches_nothing_is_a_warning(rules, warning):
    assert apply_rules(discovered(), **rules).warnings == [warning]


@pytest.mark.parametrize("select", [[""], ["!"], [3]])
def test_an_empty_rule_is_an_error(select):
    with pytest.raises(ConfigError, match="no select rule"):
        apply_rules(discovered(), select=select)


@pytest.mark.parametrize("catalog", [[], {}, {"streams": {}}, {"streams": [{"schema": {}}]}])
def test_a_catalog_of_the_wrong_shape_is_an_error(catalog):
    with pytest.raises(ConfigError, match="catalog"):
        apply_rules(catalog, select=["*.*"])


def test_a_filter_alone_changes_only_the_streams_it_leaves_out():
    catalog = discovered()
    result = apply_filter(catalog, ["users"])
    assert result.catalog["streams"][0] == catalog["streams"][0]
    assert metadata(result, ORDERS) == {"": {"inclusion": "automatic", "selected": False}}
    assert apply_filter(catalog, []).catalog == catalog


def mark(*breadcrumb: str, **values: Any) -> dict[str, Any]:
    return {"breadcrumb": list(breadcrumb), "metadata": {k.replace("_", "-"): v for k, v in values.items()}}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([mark(selected=True)], {"s": ["a", "b", "b.c"]}),
        ([mark(selected="true"), mark("properties", "a", selected="false")], {"s": ["b", "b.c"]}),
        ([mark(selected=False), mark("properties", "a", selected=True)], {}),
        (
            [mark(selected_by_default=True), mark("properties", "a", selected_by_default=False)],
            {"s": ["b", "b.c"]},
        ),
        (
            [mark(selected=True), mark("properties", "a", selected=False, inclusion="automatic")],
            {"s": ["a", "b", "b.c"]},
        ),
        (
            [mark(selected=True), mark("properties", "b", selected=True, inclusion="unsupported")],
            {"s": ["a"]},
        ),
        (
            [
                mark(selected=True),
                mark("properties", "b", selected=False),
                mark("properties", "b", "properties", "c", selected=True),
            ],
            {"s": ["a"]},
        ),
        ([mark(inclusion="automatic", selected=False)], {}),
        ([], {}),
    ],
)
def test_selection_resolves_in_the_documented_order(marks, expected):
    properties = {"a": {}, "b": {"type": "object", "properties": {"c": {}}}}
    catalog = {"streams": [{"tap_stream_id": "s", "schema": {"properties": properties}, "metadata": marks}]}
    assert selected_streams(catalog) == expected


def test_legacy_catalogs_carry_the_selection_inside_their_schemas():
    catalog = apply_rules(discovered(), select=["users.name", "users.addr.zip"]).catalog
    before = copy.deepcopy(catalog)
    legacy = legacy_properties(catalog)
    assert catalog == before
    users, orders = legacy["streams"]
    assert (users["schema"]["selected"], orders["schema"]["selected"]) == (True, False)
    properties = users["schema"]["properties"]
    assert {name: item["selected"] for name, item in properties.items()} == {
        "id": True,  # automatic
        "name": True,
        "addr": True,
        "blob": False,
    }
    assert [item["selected"] for item in properties["addr"]["properties"].values()] == [False, True]
    assert selected_streams({"streams": [{**users, "metadata": []}]})["users"] == [
        "id",
        "name",
        "addr",
        "addr.zip",
    ]


def test_rules_of_the_command_line_replace_those_of_the_project():
    assert extend_select(["users.*"], ["orders.*"]) == ["orders.*"]
    assert extend_select(["users.*"], []) == ["users.*"]
    assert extend_select(["users.*"], ["!users.body"]) == ["users.*", "!users.body"]


# ------------------------------------------------------------------------------- rules that do nothing


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("USERS.*", "no stream is called so. Did you mean users?"),
        ("usres", "no stream is called so. Did you mean users?"),
        ("!usres.*", "no stream is called so. Did you mean users?"),
        ("user?s.*", "no stream is called so. Did you mean users?"),
        ("orders.*", r"no stream is called so. Did you mean db-public\.orders?"),
        ("db-public.orders", r"no stream is called so. Did you mean db-public\.orders?"),
        ("db-public.orders.id", r"no stream is called so. Did you mean db-public\.orders?"),
        (r"db-pubic\.orders", r"no stream is called so. Did you mean db-public\.orders?"),
        ("zzz", "no stream is called so."),
        ("users.Name", "no property matches 'Name'. Did you mean users.name?"),
        ("!users.nmae", "no property matches 'nmae'. Did you mean users.name?"),
        ("users.nmae*", "no property matches 'nmae*'. Did you mean users.name?"),
        ("users.addr.stret", "no property matches 'addr.stret'. Did you mean users.addr.street"),
        ("users.adr.street", "no property matches 'adr.street'. Did you mean users.addr.street"),
        ("users.street", "no property matches 'street'. Did you mean users.addr.street?"),
        ("*.nmae", "no property matches 'nmae'. Did you mean *.name?"),
        (r"db-public\.orders.totl", r"no property matches 'totl'. Did you mean db-public\.orders.total?"),
        (r"db-public\.orders.x\.y", r"no property matches 'x.y'. Did you mean db-public\.orders.x-y?"),
        ("users.blob", "the tap cannot send it (inclusion: unsupported)."),
    ],
)
def test_a_misspelt_rule_among_good_ones_is_told_with_a_near_name(rule, why):
    result = apply_rules(discovered(), select=["users.id", rule, r"db-public\.orders.id"])
    assert list(result.unmatched) == [rule]
    assert result.warnings == [result.unmatched[rule]]
    assert result.warnings[0].startswith(f"select rule '{rule}': {why}")


def test_a_property_whose_name_has_a_dot_is_suggested_with_its_escape():
    catalog = discovered()
    catalog["streams"][0]["schema"]["properties"]["geo.lat"] = {"type": "number"}
    assert apply_rules(catalog, select=["users.id", "users.geo.lat"]).warnings == [
        r"select rule 'users.geo.lat': no property matches 'geo.lat'. Did you mean users.geo\.lat?"
    ]
    assert apply_rules(catalog, select=["users.id", r"users.geo\.lat"]).warnings == []


HOLLOW = (
    "select rule '{0}': '{1}' is an object, and nothing in it is selected, so it may come empty. "
    "Select what is in it: '{0}.*'."
)


@pytest.mark.parametrize(
    ("select", "warnings"),
    [
        (["users.addr"], [HOLLOW.format("users.addr", "addr")]),
        (["users.id", "us*.addr"], [HOLLOW.format("us*.addr", "addr")]),
        (["users.addr", "users.addr.zip"], []),
        (["users.addr.*"], []),
        (["users.addr", "!users.addr.*"], []),
        (["users.*"], []),
        (["users"], []),
        (["users.id"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_an_object_that_is_selected_without_what_is_in_it_is_told(select, warnings):
    assert apply_rules(discovered(), select=select).warnings == warnings


def test_an_object_filled_by_metadata_is_not_told():
    result = apply_rules(
        discovered(), select=["users.addr"], metadata={"users": {"addr": {"zip": {"selected": True}}}}
    )
    assert result.warnings == []


def test_an_exclusion_that_the_tap_does_not_heed_is_told():
    result = apply_rules(discovered(), select=["users.*", "!users.id", "!users.name"])
    assert result.warnings == [
        "select rule '!users.id': the tap sends 'id' all the same (inclusion: automatic)."
    ]


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        (
            {"metadata": {"users": {"addr": {"zpi": {"k": 1}}}}},
            "metadata of 'users': no property matches 'addr.zpi'. Did you mean addr.zip",
        ),
        (
            {"metadata": {"USERS": {"k": 1}}},
            "metadata of 'USERS': no stream is called so. Did you mean users?",
        ),
        (
            {"metadata": {"users": {"replication_method": "INCREMENTAL"}}},
            "metadata of 'users': taps do not know the key 'replication_method'. Did you mean replication-method?",
        ),
        (
            {"metadata": {"users": {"replication-method": "INCREMETAL"}}},
            "metadata of 'users': 'INCREMETAL' is no replication-method of Singer. Did you mean INCREMENTAL?",
        ),
        ({"schema": {"usres": {"k": {}}}}, "schema of 'usres': no stream is called so. Did you mean users?"),
        (
            {"schema": {"users": {"nmae*": {}}}},
            "schema of 'users': no property matches 'nmae*'. Did you mean name?",
        ),
        ({"schema": {"users": {"Name": {}}}}, "schema of 'users' adds a property 'Name'. Did you mean name?"),
        ({"select_filter": ["usres"]}, "select_filter 'usres': no stream is called so. Did you mean users?"),
    ],
)
def test_other_rules_that_match_nothing_are_told_with_near_names(rules, warning):
    told = apply_rules(discovered(), select=["*.*"], **rules).warnings
    assert len(told) == 1
    assert told[0].startswith(warning)
