"""A column that the SCHEMA leaves out for a while. Source: transferwise/pipelinewise-tap-postgres#146.

A log-based tap leaves a large column out of the SCHEMA of updates that did not touch it, so that a target that
merges keeps the value that it has; null would erase it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed import INTEGER, TEXT, functions_of, push, records, schema

from flow_singer.errors import TransformError

KEPT = {"id": INTEGER, "status": TEXT}
FULL = {**KEPT, "body": TEXT}
NEW = [{"id": 1, "status": "new", "body": "long text"}, {"id": 2, "status": "new", "body": None}]
READ = [{"id": 1, "status": "read"}, {"id": 2, "status": "read"}]
LAST = [{"id": 3, "status": "new", "body": "c"}]
STREAM = (
    schema("docs", FULL, ["id"])
    + records("docs", NEW)
    + schema("docs", KEPT, ["id"])
    + records("docs", READ)
    + schema("docs", FULL, ["id"])
    + records("docs", LAST)
)
FORMS = {
    "same": "def docs(df):\n    return df\n",
    "filter": "def docs(df):\n    return df[df['status'] != '']\n",
    "assign": "def docs(df):\n    return df.assign(status=df['status'])\n",
    "batch": "@transform(batch=True)\ndef docs(df):\n    return df.sort_values('id')\n",
    "columns": "@transform(columns=['status'])\ndef docs(df):\n    return df\n",
    "columns of it": "@transform(columns=['body'])\ndef docs(df):\n    return df\n",
    "records": "def docs(df):\n    return df.to_dict('records')\n",
    "whole": "@transform(whole=True)\ndef docs(df):\n    return df\n",
    "package": "def transform(package):\n    return package\n",
    "rows": "def docs(row):\n    return row\n",
}


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("form", FORMS)
def test_a_record_lacks_the_column_that_the_schema_left_out(tmp_path: Path, form: str, size: int) -> None:
    out = push(functions_of(FORMS[form], tmp_path), STREAM, batch_records=size)
    assert out.records("docs") == [*NEW, *READ, *LAST]
    assert len(out.schemas("docs")) == 1


@pytest.mark.parametrize("form", ["same", "columns", "whole", "rows"])
@pytest.mark.parametrize("size", [1, 10])
def test_a_column_that_comes_late_is_not_in_the_records_before(tmp_path: Path, form: str, size: int) -> None:
    data = schema("docs", KEPT, ["id"]) + records("docs", READ) + schema("docs", FULL, ["id"])
    out = push(functions_of(FORMS[form], tmp_path), data + records("docs", LAST), batch_records=size)
    assert out.records("docs") == [*READ, *LAST]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("form", FORMS)
def test_absent_and_null_stay_apart_in_one_batch(tmp_path: Path, form: str, size: int) -> None:
    rows = [{"id": 1, "status": "a", "body": None}, {"id": 2, "status": "b"}, {"id": 3, "body": "x"}]
    code = FORMS[form].replace("df['status'] != ''", "df['id'] > 0")
    out = push(
        functions_of(code, tmp_path), schema("docs", FULL, ["id"]) + records("docs", rows), batch_records=size
    )
    assert out.records("docs") == rows


def test_a_required_column_that_left_is_no_longer_required(tmp_path: Path) -> None:
    data = (
        schema("docs", FULL, ["id"], required=["id", "body"])
        + records("docs", NEW[:1])
        + schema("docs", KEPT, ["id"], required=["id"])
        + records("docs", READ[:1])
    )
    for form in ("same", "whole"):
        out = push(functions_of(FORMS[form], tmp_path), data)
        assert out.records("docs") == [NEW[0], READ[0]]
        assert out.schemas("docs")[-1]["required"] == ["id"]


def test_streams_that_take_turns_lack_what_their_own_schema_lacks(tmp_path: Path) -> None:
    full, kept = schema("docs", FULL, ["id"]), schema("docs", KEPT, ["id"])
    other = schema("logs", FULL, ["id"]) + records("logs", NEW[:1])
    data = (
        full + records("docs", NEW[:1]) + other + kept + records("docs", READ[:1]) + records("logs", NEW[1:])
    )
    code = "@transform('*')\ndef every(df):\n    return df\n"
    out = push(functions_of(code, tmp_path), data, batch_records=1)
    assert out.records("docs") == [NEW[0], READ[0]]
    assert out.records("logs") == NEW


@pytest.mark.parametrize("form", ["same", "whole"])
def test_a_schema_without_records_between_changes_nothing(tmp_path: Path, form: str) -> None:
    full, kept = schema("docs", FULL, ["id"]), schema("docs", KEPT, ["id"])
    out = push(
        functions_of(FORMS[form], tmp_path), full + records("docs", NEW) + kept + full + records("docs", LAST)
    )
    assert out.records("docs") == [*NEW, *LAST]


@pytest.mark.parametrize("size", [1, 2, 10])
@pytest.mark.parametrize("key", [["id"], []], ids=["key", "no key"])
def test_a_dict_without_a_key_makes_a_record_without_it(tmp_path: Path, size: int, key: list[str]) -> None:
    """As that of a row function does: the function may leave out what did not change."""
    code = (
        "def docs(df):\n    for row in df.to_dict('records'):\n"
        "        yield {k: v for k, v in row.items() if k != 'body' or v == v and v is not None}\n"
    )
    rows = [NEW[0], READ[1], {**LAST[0], "body": "c"}]
    data = schema("docs", FULL, key) + records("docs", [{"body": None, **row} for row in rows])
    out = push(functions_of(code, tmp_path), data, batch_records=size)
    assert out.records("docs") == rows
    assert out.properties("docs") == FULL


def test_a_dict_without_the_key_property_is_an_error(tmp_path: Path) -> None:
    code = "def docs(df):\n    return [{'id': 1, 'status': 'a'}, {'status': 'b'}]\n"
    with pytest.raises(TransformError, match="key column 'id' is null in 1 row of"):
        push(
            functions_of("@transform(batch=True)\n" + code, tmp_path),
            schema("docs", FULL, ["id"]) + records("docs", NEW),
        )
