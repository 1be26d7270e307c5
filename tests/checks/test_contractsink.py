"""What a contract lets into a package whose stream has another SCHEMA, and what is told of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pushed import schema
from strategies import DEFINITIONS
from test_schemarules import Judge, cases, exact

from flow_singer.checks.contractchoice import CONTRACTS, Contract, ContractChoice, read_contracts
from flow_singer.checks.contractsink import ContractSink
from flow_singer.datapackage.formerpackage import WriteMode
from flow_singer.datapackage.sink import LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.source import open_source
from flow_singer.tabular.recordlines import batch_lines

INTEGER = {"type": "integer"}
TEXT = {"type": ["null", "string"]}
ID = {"id": INTEGER}


def raw(cells: str, stream: str = "s") -> bytes:
    return f'{{"type":"RECORD","stream":"{stream}","record":{{{cells}}}}}\n'.encode()


def load(
    folder: Path,
    *lines: bytes,
    contract: Contract | dict[str, Contract] = "evolve",
    mode: WriteMode = "append",
    reject: Callable[..., None] | None = None,
    batch: int = 2,
    **options: Any,
) -> list[str]:
    """Write messages into a package; give back what was told."""
    told: list[str] = []
    choice = ContractChoice({"*": contract} if isinstance(contract, str) else contract)
    with PackageWriter(folder, mode=mode, notice=told.append, **options) as writer:
        sink = ContractSink(writer, choice, notice=told.append, reject=reject)
        load_package(lines, sink, limits=LoadLimits(batch_records=batch))
        sink.tell()
        writer.publish()
    return told


def rows(folder: Path, stream: str = "s") -> list[dict[str, Any]]:
    """The rows by Flow's own reader, numbers exact, nulls left out."""
    found = []
    with open_source(folder, notice=lambda text: pytest.fail(text)) as source:
        for batch in source.stream(stream).batches():
            for one in bytes(batch_lines(batch)).splitlines():
                record = json.loads(one, parse_float=Decimal, parse_int=Decimal)["record"]
                found.append({name: value for name, value in record.items() if value is not None})
    return found


def resource(folder: Path, at: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "datapackage.json").read_text())["resources"][at]
    return found


NEW = (
    schema("s", {**ID, "a": {"type": ["null", "integer", "string"]}, "b": TEXT}, ["id"]),
    raw('"id":2,"a":5,"b":null'),
    raw('"id":3,"a":"x","b":null'),
    raw('"id":4,"a":6,"b":"new"'),
    raw('"id":5,"a":null'),
)
OLD = (schema("s", {**ID, "a": {"type": ["null", "integer"]}}, ["id"]), raw('"id":1,"a":9007199254740993'))
FIRST = {"id": 1, "a": 9007199254740993}
TOLD = (
    "stream 's': its SCHEMA is other than before: column 'a' widened: integer, null → integer, string, null; "
    "column 'b' added (string, null)."
)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_by_itself_a_schema_evolves_and_its_change_is_told(
    tmp_path: Path, mode: WriteMode, form: Any
) -> None:
    load(tmp_path / "out", *OLD, mode=mode, format=form)
    assert load(tmp_path / "out", *NEW, mode=mode, format=form)[0] == TOLD
    new = [{"id": 2, "a": 5}, {"id": 3, "a": "x"}, {"id": 4, "a": 6, "b": "new"}, {"id": 5}]
    assert rows(tmp_path / "out") == ([] if mode == "replace" else [FIRST]) + new
    assert load(tmp_path / "out", *NEW, mode=mode, format=form) == []


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_rows_that_the_former_schema_does_not_allow_are_left_out(
    tmp_path: Path, mode: WriteMode, form: Any
) -> None:
    load(tmp_path / "out", *OLD, mode=mode, format=form)
    fields = resource(tmp_path / "out")["schema"]
    told = load(tmp_path / "out", *NEW, mode=mode, format=form, contract="discard-row")
    assert told == [
        f"{TOLD} Rows with other values are left out.",
        "stream 's': 2 rows were left out, as the SCHEMA of what is there does not allow them (contract "
        "discard-row), in column 'a' (1), 'b' (1); the first: line 3, column 'a': \"x\".",
    ]
    assert rows(tmp_path / "out") == ([] if mode == "replace" else [FIRST]) + [{"id": 2, "a": 5}, {"id": 5}]
    assert resource(tmp_path / "out")["schema"]["fields"] == fields["fields"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
def test_values_that_the_former_schema_does_not_allow_become_null(
    tmp_path: Path, mode: WriteMode, form: Any
) -> None:
    load(tmp_path / "out", *OLD, mode=mode, format=form)
    told = load(tmp_path / "out", *NEW, mode=mode, format=form, contract="discard-value")
    assert told == [
        f"{TOLD} Other values are left out.",
        "stream 's': 2 values were left out, as the SCHEMA of what is there does not allow them (contract "
        "discard-value), in column 'a' (1), 'b' (1); the first: line 3, column 'a': \"x\".",
    ]
    new = [{"id": 2, "a": 5}, {"id": 3}, {"id": 4, "a": 6}, {"id": 5}]
    assert rows(tmp_path / "out") == ([] if mode == "replace" else [FIRST]) + new
    assert [one["name"] for one in resource(tmp_path / "out")["schema"]["fields"]] == ["id", "a"]


@pytest.mark.parametrize("mode", ["replace", "append", "upsert"])
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (NEW, "column 'a' widened: integer, null → integer, string, null; column 'b' added (string, null)"),
        ((schema("s", ID, ["id"]), raw('"id":2')), "column 'a' removed (integer, null)"),
        (
            (schema("s", {**ID, "a": {"type": ["null", "string"]}}, ["id"]),),
            "column 'a' changed: integer, null → string, null",
        ),
        ((schema("s", {**ID, "a": {"type": ["null", "integer"]}}, ["a"]),), "The key of stream 's' was id"),
        ((OLD[0], raw('"id":2,"a":1,"x":1')), "Records of stream 's' have 'x', a column that is not there."),
    ],
)
def test_a_frozen_schema_refuses_another_and_what_is_there_stays(
    tmp_path: Path, mode: WriteMode, lines: tuple[bytes, ...], said: str
) -> None:
    load(tmp_path / "out", *OLD, mode=mode)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    with pytest.raises((DataError, ConfigError)) as caught:
        load(tmp_path / "out", *lines, mode=mode, contract="freeze")
    assert said in caught.value.message or (
        mode == "upsert" and "The key of stream 's'" in caught.value.message
    )
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_a_frozen_schema_takes_what_it_is_and_what_allows_less(tmp_path: Path) -> None:
    load(tmp_path / "out", *OLD, raw('"id":7,"more":[1]'))
    told = load(tmp_path / "out", *OLD, raw('"id":8,"more":{}'), contract="freeze")
    narrow = {"id": INTEGER, "a": INTEGER}
    told += load(tmp_path / "out", schema("s", narrow, ["id"]), raw('"id":9,"a":1'), contract="freeze")
    changes = [text for text in told if "other than before" in text]
    assert changes == [
        "stream 's': its SCHEMA is other than before: column 'a' narrowed: integer, null → integer."
    ]
    assert [row["id"] for row in rows(tmp_path / "out")] == [1, 7, 1, 8, 9]


def test_a_column_that_goes_is_told_once_and_so_is_its_return(tmp_path: Path) -> None:
    narrow = (schema("s", ID, ["id"]), raw('"id":2'))
    load(tmp_path / "out", *OLD)
    gone = "stream 's': its SCHEMA is other than before: column 'a' removed (integer, null)."
    assert load(tmp_path / "out", *narrow) == [gone]
    assert load(tmp_path / "out", *narrow) == []
    assert load(tmp_path / "out", *OLD) == []
    assert load(tmp_path / "out", *narrow) == [gone]
    assert rows(tmp_path / "out") == [FIRST, {"id": 2}, {"id": 2}, FIRST, {"id": 2}]


def test_a_key_that_the_former_schema_does_not_allow_takes_its_row_along(tmp_path: Path) -> None:
    new = (schema("s", {"id": {"type": ["integer", "string"]}}, ["id"]), raw('"id":2'), raw('"id":"x"'))
    load(tmp_path / "out", schema("s", ID, ["id"]), raw('"id":1'))
    told = load(tmp_path / "out", *new, mode="upsert", contract="discard-value")
    assert "1 value was left out, and 1 row whose key was among them, as" in told[-1]
    assert rows(tmp_path / "out") == [{"id": 1}, {"id": 2}]
    assert resource(tmp_path / "out")["schema"]["primaryKey"] == ["id"]


def test_rows_that_are_left_out_can_be_set_aside(tmp_path: Path) -> None:
    aside: list[tuple[int, str | None, Any, str]] = []
    load(tmp_path / "out", *OLD)
    load(
        tmp_path / "out",
        *NEW,
        contract="discard-row",
        reject=lambda number, stream, text, error: aside.append(
            (number, stream, json.loads(text)["record"], error.message)
        ),
    )
    assert [one[:3] for one in aside] == [
        (3, "s", {"id": 3, "a": "x", "b": None}),
        (4, "s", {"id": 4, "a": 6, "b": "new"}),
    ]
    assert "Stream 's', column 'a': the value is none that the SCHEMA of what is there allows" in aside[0][3]


def test_a_contract_is_chosen_by_the_name_of_a_stream_before_a_pattern(tmp_path: Path) -> None:
    old, new = {"id": INTEGER}, {"id": {"type": "string"}}
    names = ["audit_a", "audit_b", "other"]
    load(tmp_path / "out", *[schema(name, old) for name in names], *[raw('"id":1', name) for name in names])
    told = load(
        tmp_path / "out",
        *[schema(name, new) for name in names],
        *[raw('"id":"x"', name) for name in names],
        contract={"audit_*": "discard-value", "audit_b": "discard-row", "othr": "freeze"},
    )
    assert [len(rows(tmp_path / "out", name)) for name in names] == [2, 1, 2]
    assert told[-1] == "contract names stream 'othr', which did not come. Did you mean other?"


def test_a_new_stream_has_nothing_to_be_held_to_and_one_that_did_not_come_is_told(tmp_path: Path) -> None:
    load(tmp_path / "out", *OLD)
    other = (schema("t", ID), raw('"id":1', "t"))
    assert load(tmp_path / "out", *other, contract="freeze") == []
    assert load(tmp_path / "out", *other, contract="freeze", mode="replace") == [
        "stream 's' was in the package and did not come: it is not in the new one."
    ]


def test_a_schema_that_changes_midway_is_held_to_the_same(tmp_path: Path) -> None:
    load(tmp_path / "out", *OLD)
    told = load(tmp_path / "out", *OLD, *NEW, contract="discard-row")
    assert [row["id"] for row in rows(tmp_path / "out")] == [1, 1, 2, 5]
    assert "2 rows were left out" in told[-1]


def test_values_are_read_by_the_former_schema_digit_by_digit(tmp_path: Path) -> None:
    exact_number = {"type": ["null", "string"], "format": "singer.decimal"}
    old = (schema("s", {"n": {"type": "number"}, "d": exact_number}), raw('"n":1.10,"d":"1.10"'))
    new = (
        schema("s", {"n": {"type": ["number", "string"]}, "d": {}}),
        raw('"n":12345678901234567890.10,"d":"12345678901234567890.10"'),
        raw('"n":1e400,"d":null'),
    )
    load(tmp_path / "out", *old, format="jsonl")
    load(tmp_path / "out", *new, format="jsonl", contract="discard-row")
    text = (tmp_path / "out/data/s-2.jsonl").read_text()
    assert '{"n":12345678901234567890.10,"d":"12345678901234567890.10"}' in text
    assert '"n":1e400' in text


@settings(max_examples=150)
@given(cases(), cases(), st.sampled_from(["discard-row", "discard-value"]), st.data())
def test_what_is_let_in_is_what_the_former_schema_allows(
    one: Any, other: Any, contract: Contract, data: st.DataObject
) -> None:
    values = data.draw(st.lists(other[1] | one[1], max_size=8))
    with localcontext(prec=100), tempfile.TemporaryDirectory() as place:
        allows, comes = (Judge(exact(json.dumps(case[0]))) for case in (one, other))
        values = [text for text in values if comes.is_valid(exact(text))]
        fits = [allows.is_valid(exact(text)) for text in values]
        folder = Path(place) / "out"
        load(folder, schema("s", {"c": one[0]}, definitions=DEFINITIONS), format="jsonl")
        load(
            folder,
            schema("s", {"c": other[0]}, definitions=DEFINITIONS),
            *[raw(f'"c":{text}') for text in values],
            format="jsonl",
            contract=contract,
        )
        expected = [
            {} if not good or exact(text) is None else {"c": exact(text)}
            for text, good in zip(values, fits, strict=True)
            if good or contract == "discard-value"
        ]
        found = [
            {k: v for k, v in exact(text).items() if v is not None}
            for path in sorted((folder / "data").iterdir())
            for text in path.read_text().splitlines()
        ]
        assert found == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("freez", "here: 'freez' is no contract. Did you mean freeze?"),
        ({"issues": "drop"}, "here issues: 'drop' is no contract."),
        (True, "here: True is no contract."),
    ],
)
def test_what_is_no_contract_is_told_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_contracts(value, lambda stream: f"here {stream}".rstrip())
    assert caught.value.message == said
    assert all(name in str(caught.value.hint) for name in CONTRACTS)
