"""Why a stream or property is in or out; above all that what is said to be in is what a run gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_singer.singer.catalog import apply_filter, apply_rules
from flow_singer.singer.selection import selected_streams
from flow_singer.singer.selectreasons import Choice, StreamChoice, explain_selection
from flow_singer.singer.streamfacts import facts_of_streams

TEXT = {"type": ["null", "string"]}


def catalog() -> dict[str, Any]:
    """A stream with a property of each kind, one without metadata, one that the tap cannot send."""
    marks = {"id": "automatic", "updated_at": "automatic", "title": "available", "blob": "unsupported"}
    return {
        "streams": [
            {
                "tap_stream_id": "issues",
                "stream": "issues",
                "key_properties": ["id"],
                "replication_key": "updated_at",
                "schema": {
                    "properties": {
                        **dict.fromkeys(marks, TEXT),
                        "user": {"type": "object", "properties": {"login": TEXT, "mail": TEXT}},
                    }
                },
                "metadata": [
                    {"breadcrumb": [], "metadata": {"inclusion": "available"}},
                    {"breadcrumb": ["properties", "user"], "metadata": {"inclusion": "available"}},
                    *(
                        {"breadcrumb": ["properties", name], "metadata": {"inclusion": inclusion}}
                        for name, inclusion in marks.items()
                    ),
                ],
            },
            {"tap_stream_id": "db.users", "stream": "users", "schema": {"properties": {"id": TEXT}}},
            {
                "tap_stream_id": "closed",
                "stream": "closed",
                "schema": {"properties": {"id": TEXT}},
                "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "unsupported"}}],
            },
        ]
    }


def said(streams: list[StreamChoice]) -> dict[str, Choice]:
    """Each choice, by stream and path."""
    choices = {}
    for one in streams:
        choices[one.facts.id] = one.choice
        choices |= {f"{one.facts.id}/{'.'.join(item.path)}": item.choice for item in one.properties}
    return choices


def test_each_has_its_reason() -> None:
    choices = said(explain_selection(catalog(), select=["issues.*", "!issues.title", "!*.mail", "closed"]))
    by = {name: (one.is_in, one.reason, one.rule) for name, one in choices.items()}
    assert by == {
        "issues": (True, "rule", "issues.*"),
        "issues/id": (True, "automatic", None),
        "issues/updated_at": (True, "automatic", None),
        "issues/title": (False, "rule", "!issues.title"),
        "issues/blob": (False, "unsupported", None),
        "issues/user": (True, "rule", "issues.*"),
        "issues/user.login": (True, "rule", "issues.*"),
        "issues/user.mail": (True, "rule", "issues.*"),
        "db.users": (False, "no rule", None),
        "db.users/id": (False, "stream", None),
        "closed": (False, "unsupported", None),
        "closed/id": (False, "stream", None),
    }


@pytest.mark.parametrize(
    ("rules", "name", "expected"),
    [
        ({"select": ["issues.user.login"]}, "issues", (True, "rule", "issues.user.login")),
        ({"select": ["issues.user.login"]}, "issues/user", (True, "rule", "issues.user.login")),
        ({"select": ["issues.user.login"]}, "issues/user.mail", (False, "no rule", None)),
        ({"select": ["issues.*", "issues.title"]}, "issues/title", (True, "rule", "issues.title")),
        ({"select": ["*.*", "!issues.user"]}, "issues/user.login", (False, "object", None)),
        ({"select": ["*.*", "!issues"]}, "issues", (False, "rule", "!issues")),
        ({"select": [r"db\.users"]}, "db.users", (True, "rule", r"db\.users")),
        ({"select_filter": ["issues"]}, "db.users", (False, "select_filter", None)),
        ({"select_filter": ["!issues"]}, "issues", (False, "select_filter", "!issues")),
        ({"select": ["issues"], "select_filter": ["issues"]}, "db.users", (False, "no rule", None)),
        ({"metadata": {"issues": {"selected": False}}}, "issues", (False, "metadata", None)),
        ({"metadata": {"issues": {"title": {"selected": False}}}}, "issues/title", (False, "metadata", None)),
        (
            {"metadata": {"issues": {"title": {"inclusion": "automatic"}}}},
            "issues/title",
            (True, "metadata", None),
        ),
        ({"metadata": {"issues": {"title": {"selected": True}}}}, "issues/title", (True, "rule", "*.*")),
        ({"schema": {"issues": {"new": TEXT}}}, "issues/new", (True, "automatic", None)),
        ({"select": None}, "issues", (False, "catalog", None)),
    ],
)
def test_the_reason_is_what_decides(
    rules: dict[str, Any], name: str, expected: tuple[bool, str, str | None]
) -> None:
    choice = said(explain_selection(catalog(), **{"select": ["*.*"], **rules}))[name]
    assert (choice.is_in, choice.reason, choice.rule) == expected


def test_keys_are_told_and_a_dot_in_a_name_is_no_object() -> None:
    given = catalog()
    given["streams"][0]["schema"]["properties"]["user.login"] = TEXT
    issues = explain_selection(given, select=["*.*"])[0]
    assert [one.path[0] for one in issues.properties if one.is_key] == ["id"]
    assert [one.path[0] for one in issues.properties if one.is_replication_key] == ["updated_at"]
    paths = [one.path for one in issues.properties]
    assert ("user.login",) in paths
    assert ("user", "login") in paths
    assert (issues.facts.fields, issues.chosen_fields) == (6, 5)


NAMES = st.sampled_from(["a", "b", "ab", "a.b", "x-y"])
INCLUSIONS = st.sampled_from(["available", "automatic", "unsupported", None])
FLAGS = st.sampled_from([True, False, "true", None])


@st.composite
def marks(draw: st.DrawFn) -> dict[str, Any]:
    mark = {"inclusion": draw(INCLUSIONS), "selected": draw(FLAGS), "selected-by-default": draw(FLAGS)}
    return {key: value for key, value in mark.items() if value is not None}


@st.composite
def properties(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    made = {name: dict(TEXT) for name in names}
    for name in names:
        if depth and draw(st.booleans()):
            made[name] = {"type": "object", "properties": draw(properties(depth - 1))}
        if draw(st.integers(0, 4)) == 0:
            made[name] |= draw(marks())  # as legacy taps have it
    return made


def breadcrumbs(schema: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    own = schema.get("properties", {})
    found = [above]
    for name, inner in own.items():
        found += breadcrumbs(inner, (*above, "properties", name))
    return found


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, Any]:
    streams = []
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        schema = {"type": "object", "properties": draw(properties())}
        stream: dict[str, Any] = {"tap_stream_id": name, "stream": name, "schema": schema}
        known = [one for one in breadcrumbs(schema) if draw(st.booleans())]
        stream["metadata"] = [{"breadcrumb": list(one), "metadata": draw(marks())} for one in known]
        if draw(st.integers(0, 4)) == 0:
            stream |= draw(marks())
        streams.append(stream)
    return {"streams": streams}


PARTS = st.sampled_from(["a", "b", "*", "a*", "?", r"a\.b", "x-y", "none"])
RULES = st.builds(
    lambda mark, parts: mark + ".".join(parts),
    st.sampled_from(["", "", "!"]),
    st.lists(PARTS, min_size=1, max_size=3),
)
METADATA = st.dictionaries(
    NAMES, marks() | st.dictionaries(NAMES, marks() | st.dictionaries(NAMES, marks(), max_size=1), max_size=2)
)
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "select_filter": st.lists(RULES, max_size=2),
        "metadata": METADATA,
        "schema": st.dictionaries(NAMES, properties(), max_size=2),
    },
)


def chosen(streams: list[StreamChoice]) -> dict[str, list[str]]:
    return {
        one.facts.id: [".".join(item.path) for item in one.properties if item.choice.is_in]
        for one in streams
        if one.choice.is_in
    }


@given(catalogs(), st.lists(RULES, max_size=4), EXTRAS)
def test_what_is_said_to_be_in_is_what_a_run_gets(
    catalog: dict[str, Any], select: list[str], extras: dict[str, Any]
) -> None:
    explained = explain_selection(catalog, select=select, **extras)
    assert chosen(explained) == selected_streams(apply_rules(catalog, select=select, **extras).catalog)


@given(catalogs(), st.lists(RULES, max_size=4))
def test_rules_alone_never_need_another_reason(catalog: dict[str, Any], select: list[str]) -> None:
    """The reason "metadata" also stands for what cannot be explained: without that extra it must not come."""
    choices = said(explain_selection(catalog, select=select))
    assert not {one.reason for one in choices.values()} & {"metadata", "select_filter", "catalog"}


@given(catalogs(), st.lists(RULES, min_size=1, max_size=4))
def test_without_the_rule_that_is_said_to_leave_it_out_it_is_out_for_another_reason(
    catalog: dict[str, Any], select: list[str]
) -> None:
    for name, choice in said(explain_selection(catalog, select=select)).items():
        if choice.reason == "rule":
            assert choice.rule is not None
            assert choice.is_in is not choice.rule.startswith("!")
            rest = [rule for rule in select if rule != choice.rule]
            assert said(explain_selection(catalog, select=rest))[name] != choice


@given(catalogs(), st.lists(RULES, max_size=2))
def test_a_hand_made_catalog_is_explained_too(catalog: dict[str, Any], select_filter: list[str]) -> None:
    explained = explain_selection(catalog, select=None, select_filter=select_filter)
    assert chosen(explained) == selected_streams(apply_filter(catalog, select_filter).catalog)


@pytest.mark.parametrize(
    ("stream", "keys", "replication"),
    [
        ({}, (), None),
        ({"key_properties": ["a", "b"]}, ("a", "b"), None),
        ({"replication_key": "at"}, (), "INCREMENTAL by at"),
        ({"replication_key": "at", "replication_method": "FULL_TABLE"}, (), "FULL_TABLE"),
        (
            {
                "metadata": [
                    {
                        "breadcrumb": [],
                        "metadata": {
                            "table-key-properties": ["id"],
                            "forced-replication-method": "INCREMENTAL",
                            "valid-replication-keys": ["at"],
                        },
                    }
                ]
            },
            ("id",),
            "INCREMENTAL by at",
        ),
        (
            {"metadata": [{"breadcrumb": [], "metadata": {"valid-replication-keys": ["a", "b"]}}]},
            (),
            None,
        ),
        (
            {
                "replication_method": "INCREMENTAL",
                "metadata": [{"breadcrumb": [], "metadata": {"replication-method": "LOG_BASED"}}],
            },
            (),
            "LOG_BASED",
        ),
    ],
)
def test_keys_and_replication_are_read_wherever_a_tap_writes_them(
    stream: dict[str, Any], keys: tuple[str, ...], replication: str | None
) -> None:
    facts = facts_of_streams({"streams": [{"tap_stream_id": "s", **stream}]})[0]
    assert (facts.keys, facts.replication, facts.fields) == (keys, replication, 0)
