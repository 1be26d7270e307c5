"""What a person says of a package, what it came from, and what its streams refer to, in its descriptor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from test_sink import load, record, schema

import flow_singer
from flow_singer.datapackage.owndescriptor import OwnDescriptor
from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.source import open_source
from flow_singer.singer.foreignkeys import ForeignKey

ID = {"type": "integer"}
PARENT = (schema("users", {"id": ID}), record("users", id=1), record("users", id=2))
CHILD = (schema("posts", {"id": ID, "user_id": ID}), record("posts", id=1, user_id=2))
REFERS = {"fields": ["user_id"], "reference": {"resource": "users", "fields": ["id"]}}


def descriptor(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "datapackage.json").read_text())
    for version in ("1.0", "2.0"):
        profile = json.loads((files("dplib.profiles") / version / "datapackage.json").read_text())
        if version == "2.0" or found.get("licenses"):
            assert [error.message for error in Draft7Validator(profile).iter_errors(found)] == []
    return found


def own(
    folder: Path, said: Mapping[str, Any], *, checked: bool = False, told: list[str] | None = None
) -> Any:
    path = folder / "own.json"
    path.write_text(json.dumps(said))
    return OwnDescriptor(path, checked=checked, notice=[].append if told is None else told.append)


SAID: dict[str, Any] = {
    "title": "Posts",
    "licenses": [{"name": "CC0-1.0"}],
    "resources": [
        {
            "name": "posts",
            "description": "What people wrote.",
            "schema": {"fields": [{"name": "user_id", "title": "Author", "unit": "1", "type": "integer"}]},
        }
    ],
}


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_what_a_person_says_stands_beside_what_is_made_of_the_data(tmp_path: Path, mode: str) -> None:
    for _ in range(2):
        load(tmp_path / "out", *PARENT, *CHILD, own=own(tmp_path, SAID), mode=mode)
    found = descriptor(tmp_path / "out")
    users, posts = found["resources"]
    assert (found["title"], found["licenses"]) == ("Posts", SAID["licenses"])
    assert "description" not in users
    assert posts["description"] == "What people wrote."
    field = posts["schema"]["fields"][1]
    assert (field["title"], field["unit"], field["type"]) == ("Author", "1", "integer")
    assert posts["flow:records"] == (2 if mode == "append" else 1)


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_package_that_grows_keeps_what_was_said_before(tmp_path: Path, mode: str) -> None:
    keys = {"foreignKeys": [REFERS]}
    said = {**SAID, "resources": [{**SAID["resources"][0]}]}
    said["resources"][0]["schema"] = {**said["resources"][0]["schema"], **keys}
    load(tmp_path / "out", *PARENT, *CHILD, own=own(tmp_path, said, checked=True))
    load(tmp_path / "out", *CHILD, mode=mode)
    found = descriptor(tmp_path / "out")
    posts = found["resources"][1]
    assert found["title"] == "Posts"
    assert posts["description"] == "What people wrote."
    assert posts["schema"]["fields"][1]["title"] == "Author"
    assert posts["schema"]["foreignKeys"] == [REFERS]


def test_a_table_schema_is_for_a_package_of_one_stream(tmp_path: Path) -> None:
    said = {"fields": [{"name": "id", "description": "Number."}]}
    load(tmp_path / "out", *PARENT, own=own(tmp_path, said))
    assert descriptor(tmp_path / "out")["resources"][0]["schema"]["fields"][0]["description"] == "Number."
    with pytest.raises(ConfigError, match="it is a Table Schema, and the package has 2 streams"):
        load(tmp_path / "two", *PARENT, *CHILD, own=own(tmp_path, said))
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"resources": [{"name": "post"}]}, "there is no resource 'post'.", "Did you mean posts?"),
        (
            {"resources": [{"name": "posts", "schema": {"fields": [{"name": "titel"}]}}]},
            "there is no field of resource 'posts' 'titel'.",
            "There are: id, user_id.",
        ),
        (
            {"resources": [{"name": "posts", "schema": {"fields": [{"name": "id", "type": "string"}]}}]},
            "the type of field 'id' of resource 'posts' is 'string', and in the data it is 'integer'.",
            "Leave it out, or change the column",
        ),
        (
            {"resources": [{"name": "posts", "schema": {"primaryKey": "user_id"}}]},
            "the primary key of resource 'posts' is 'user_id', and that of the data is id.",
            "table-key-properties",
        ),
        (
            {"resources": [{"name": "posts", "schema": "posts.json"}]},
            "the schema of resource 'posts'",
            "Write it",
        ),
    ],
)
def test_what_does_not_fit_the_data_stops_the_run(
    tmp_path: Path, said: dict[str, Any], message: str, hint: str
) -> None:
    load(tmp_path / "out", *PARENT, *CHILD)
    before = (tmp_path / "out/datapackage.json").read_bytes()
    for mode in ("replace", "append"):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "out", *PARENT, *CHILD, own=own(tmp_path, said), mode=mode)
        assert message in caught.value.message
        assert hint in str(caught.value.hint)
    assert (tmp_path / "out/datapackage.json").read_bytes() == before


def test_what_follows_from_the_data_stays_and_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    load(tmp_path / "out", *PARENT)
    said = {**descriptor(tmp_path / "out"), "title": "Mine"}
    load(tmp_path / "out", *PARENT, own=own(tmp_path, said, checked=True, told=told))
    assert told == []  # all of it is as it is made
    said["resources"][0] |= {"bytes": 1, "format": "xlsx", "flow:records": 7}
    load(tmp_path / "out", *PARENT, own=own(tmp_path, said, checked=True, told=told))
    (sentence,) = told
    assert sentence.endswith(
        "own.json: bytes, flow:records, format of resource 'users' follow from the data and stay as they are made."
    )
    found = descriptor(tmp_path / "out")
    assert (found["title"], found["resources"][0]["format"]) == ("Mine", "csv")


@pytest.mark.parametrize(
    "promise",
    [
        {"fields": [{"name": "id", "constraints": {"maximum": 1}}]},
        {"fields": [{"name": "id"}], "foreignKeys": [REFERS]},
        {"fields": [{"name": "id"}], "uniqueKeys": [["id"]]},
    ],
)
def test_what_it_promises_of_the_rows_is_looked_at(tmp_path: Path, promise: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="nobody looks whether the rows keep them") as caught:
        own(tmp_path, promise)
    assert "Add --check" in str(caught.value.hint)
    assert own(tmp_path, promise, checked=True)


def test_a_promise_that_the_rows_break_publishes_nothing(tmp_path: Path) -> None:
    said = {"fields": [{"name": "id", "constraints": {"maximum": 1}}]}
    with pytest.raises(DataError, match="row 3, field 'id'"):
        publish_checked(tmp_path / "out", *PARENT, own=own(tmp_path, said, checked=True))
    assert not (tmp_path / "out").exists()
    publish_checked(tmp_path / "out", *PARENT[:2], own=own(tmp_path, said, checked=True))
    (field,) = descriptor(tmp_path / "out")["resources"][0]["schema"]["fields"]
    assert field["constraints"] == {"required": True, "maximum": 1}


def publish_checked(folder: Path, *lines: str, **options: Any) -> None:
    from flow_singer.datapackage.sink import load_package
    from flow_singer.datapackage.writer import PackageWriter

    with PackageWriter(folder, **options) as writer:
        load_package([f"{one}\n".encode() for one in lines], writer)
        writer.publish(check=True)


@pytest.mark.parametrize("text", ["{", "[1]", '{"resources": 1}', '{"resources": [{"path": "x"}]}'])
def test_what_is_no_descriptor_is_told_before_anything_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.json").write_text(text)
    with pytest.raises(ConfigError, match=r"own\.json"):
        OwnDescriptor(tmp_path / "own.json", checked=False, notice=[].append)
    with pytest.raises(ConfigError, match="No such file"):
        OwnDescriptor(tmp_path / "none.json", checked=False, notice=[].append)


# ------------------------------------------------------------------------------------------- foreign keys


def keyed(stream: str, properties: dict[str, Any], *keys: dict[str, Any]) -> str:
    return schema(stream, properties, foreignKeys=list(keys))


def test_the_foreign_keys_of_a_package_come_through(tmp_path: Path) -> None:
    import frictionless

    (tmp_path / "in").mkdir()
    (tmp_path / "in/users.csv").write_text("id,boss\n1,\n2,1\n")
    (tmp_path / "in/posts.csv").write_text("id,user_id\n1,2\n")
    fields = [{"name": "id", "type": "integer"}]
    users = {"fields": [*fields, {"name": "boss", "type": "integer"}], "primaryKey": "id"}
    users["foreignKeys"] = [{"fields": "boss", "reference": {"resource": "", "fields": "id"}}]
    posts = {"fields": [*fields, {"name": "user_id", "type": "integer"}], "foreignKeys": [REFERS]}
    resources = [
        {"name": "users", "path": "users.csv", "schema": users},
        {"name": "posts", "path": "posts.csv", "schema": posts},
    ]
    (tmp_path / "in/datapackage.json").write_text(json.dumps({"name": "in", "resources": resources}))
    place = tmp_path / "in"
    for out in ("one", "two"):  # and what Flow wrote gives them again
        messages = []
        with open_source(str(place), notice=pytest.fail) as source:
            for name in ("users", "posts"):
                messages.append(json.dumps(source.stream(name).schema.message))
        load(tmp_path / out, *messages, record("users", id=1), record("posts", id=1, user_id=1))
        found = {
            one["name"]: one["schema"].get("foreignKeys") for one in descriptor(tmp_path / out)["resources"]
        }
        assert found == {
            "users": [{"fields": ["boss"], "reference": {"resource": "", "fields": ["id"]}}],
            "posts": [REFERS],
        }
        assert frictionless.validate(str(tmp_path / out / "datapackage.json")).valid
        place = tmp_path / out


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_a_key_is_written_in_the_names_of_the_package_where_both_ends_are_there(
    tmp_path: Path, mode: str
) -> None:
    known = {
        "my posts": [ForeignKey(("user id",), "my users", ("id",)), ForeignKey(("id",), "gone", ("id",))]
    }
    users = (schema("my users", {"id": ID}), record("my users", id=1))
    posts = (schema("my posts", {"id": ID, "user id": ID}), record("my posts", **{"id": 1, "user id": 1}))
    load(tmp_path / "out", *users, mode=mode, foreign_keys=known)
    load(tmp_path / "out", *(users if mode == "replace" else ()), *posts, mode=mode, foreign_keys=known)
    load(tmp_path / "out", *(users if mode == "replace" else ()), *posts, mode=mode, foreign_keys=known)
    names = [one["name"] for one in descriptor(tmp_path / "out")["resources"]]
    keys = descriptor(tmp_path / "out")["resources"][1]["schema"]["foreignKeys"]
    assert keys == [{"fields": ["user id"], "reference": {"resource": names[0], "fields": ["id"]}}]


def test_what_is_no_foreign_key_is_passed_over(tmp_path: Path) -> None:
    wrong = [{"fields": []}, {"fields": ["id"], "reference": {"resource": "users", "fields": ["a", "b"]}}, 5]
    load(tmp_path / "out", keyed("users", {"id": ID}, *wrong))
    assert "foreignKeys" not in descriptor(tmp_path / "out")["resources"][0]["schema"]


# --------------------------------------------------------------------------------------------- provenance


def test_a_package_says_where_it_comes_from(tmp_path: Path) -> None:
    run = {"id": "r1", "tap": "https://example.org/sales.csv", "environment": "prod"}
    load(tmp_path / "out", *PARENT, run=run)
    found = descriptor(tmp_path / "out")
    assert found["flow:run"] == {**run, "flow": flow_singer.__version__}
    assert found["sources"] == [{"title": run["tap"], "path": run["tap"]}]
    load(tmp_path / "out", *PARENT, run={**run, "tap": "tap-x"}, mode="append")
    assert descriptor(tmp_path / "out")["sources"] == [*found["sources"], {"title": "tap-x"}]
