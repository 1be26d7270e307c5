"""Rows that are spread over files: by a value, by a part of a time, by the run."""

from __future__ import annotations

import csv
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_packagegrowth import check, read
from test_sink import FORMATS, TEXT, descriptor, load, record, schema

from flow_singer.datapackage import parquetfile, textfile
from flow_singer.datapackage.partitionby import PartitionBy
from flow_singer.datapackage.rowfile import rows_by_file
from flow_singer.errors import ConfigError

INTEGER = {"type": ["null", "integer"]}
TIME = {"type": ["null", "string"], "format": "date-time"}
STREAM = {"id": {"type": "integer"}, "at": TIME, "country": TEXT}


def rows(*found: tuple[int, str | None, str | None]) -> list[bytes]:
    return [schema("s", STREAM), *(record(id=i, at=at, country=c) for i, at, c in found)]


DAYS = rows(
    (1, "2026-01-31T23:00:00Z", "AT"),
    (2, "2026-02-01T00:30:00+02:00", "DE"),
    (3, None, "AT"),
    (4, "2026-02-28T12:00:00Z", None),
)


def files_of(folder: Path) -> dict[str, int]:
    """The names of a resource's files and their rows, in the order of the descriptor."""
    (resource,) = descriptor(folder)["resources"]
    return {Path(part["path"].removesuffix(".gz")).stem: part["rows"] for part in resource["flow:parts"]}


@pytest.mark.parametrize("format", FORMATS)
def test_rows_are_spread_over_files_by_month_in_utc_and_read_back_as_they_came(tmp_path, format):
    load(tmp_path / "out", *DAYS, format=format, partition_by="at:month")
    assert files_of(tmp_path / "out") == {"s-2026-01": 2, "s-2026-02": 1, "s-null": 1}
    package = check(tmp_path / "out")
    assert package["resources"][0]["flow:partitionBy"] == "at:month"
    assert [part["partition"] for part in package["resources"][0]["flow:parts"]] == [
        "2026-01",
        "2026-02",
        "null",
    ]
    assert package["resources"][0]["schema"]["primaryKey"] == ["id"]
    plain = tmp_path / "plain"
    load(plain, *DAYS, format=format)
    assert sorted(map(str, read(tmp_path / "out"))) == sorted(map(str, read(plain)))


@pytest.mark.parametrize(
    ("unit", "stems"),
    [
        ("year", ["s-2026", "s-null"]),
        ("day", ["s-2026-01-31", "s-2026-02-28", "s-null"]),
        ("hour", ["s-2026-01-31t22", "s-2026-01-31t23", "s-2026-02-28t12", "s-null"]),
    ],
)
def test_each_unit_has_its_files(tmp_path, unit, stems):
    load(tmp_path / "out", *DAYS, partition_by=f"at:{unit}")
    assert list(files_of(tmp_path / "out")) == stems


def test_a_value_has_its_file_whatever_it_looks_like(tmp_path):
    values = ["AT", "at", "a/t", "../x", "", None, "Ä" * 300, "con", "null"]
    load(
        tmp_path / "out", *rows(*((i, None, value) for i, value in enumerate(values))), partition_by="country"
    )
    found = files_of(tmp_path / "out")
    assert sum(found.values()) == len(values)
    assert found["s-null"] == 2  # no value, and the text null
    assert all(len(name) < 200 and "/" not in name for name in found)
    check(tmp_path / "out", whole=False)
    assert len(read(tmp_path / "out")) == len(values)


def test_what_is_no_time_lies_in_a_file_of_its_own(tmp_path):
    bad = rows((1, "2026-01-01T00:00:00Z", None), (2, "yesterday", None), (3, "2026-1-1", None))
    load(tmp_path / "out", *bad, partition_by="at:month")
    assert files_of(tmp_path / "out") == {"s-2026-01": 1, "s-other": 2}


def test_a_later_record_of_a_key_replaces_the_earlier_one_in_another_file(tmp_path):
    moved = rows((1, "2026-01-01", "old"), (2, "2026-01-02", None), (1, "2026-05-01", "new"))
    load(tmp_path / "out", *moved, partition_by="at:month")
    assert files_of(tmp_path / "out") == {"s-2026-01": 1, "s-2026-05": 1}
    assert [row["country"] for row in read(tmp_path / "out")] == [None, "new"]


def test_a_partition_whose_rows_were_all_replaced_has_no_file(tmp_path):
    moved = rows((1, "2026-01-01", None), (1, "2026-05-01", None))
    load(tmp_path / "out", *moved, partition_by="at:month")
    assert files_of(tmp_path / "out") == {"s-2026-05": 1}
    assert descriptor(tmp_path / "out")["resources"][0]["path"] == "data/s-2026-05.csv"
    check(tmp_path / "out")


def test_a_stream_without_records_is_one_file(tmp_path):
    load(tmp_path / "out", *rows(), partition_by="at:month")
    assert files_of(tmp_path / "out") == {"s": 0}
    check(tmp_path / "out")


def test_columns_that_come_later_are_in_every_file(tmp_path):
    load(
        tmp_path / "out",
        schema("s", {"id": INTEGER, "at": TIME}, key=[]),
        record(id=1, at="2026-01-01"),
        schema("s", {"id": INTEGER, "at": TIME, "more": TEXT}, key=[]),
        record(id=2, at="2026-02-01", more="x"),
        partition_by="at:month",
    )
    for path in (tmp_path / "out" / "data").iterdir():
        assert path.read_text().splitlines()[0] == "id,at,more"
    assert [row["more"] for row in read(tmp_path / "out")] == [None, "x"]


def test_all_parquet_files_of_a_stream_have_the_same_types(tmp_path):
    load(
        tmp_path / "out",
        schema("s", {"n": {"type": ["null", "number"]}, "at": TIME}, key=[]),
        record(n=1.5, at="2026-01-01"),
        '{"type":"RECORD","stream":"s","record":{"n":12345678901234567.25,"at":"2026-02-01"}}',
        format="parquet",
        partition_by="at:month",
    )
    first, second = (pq.read_schema(path) for path in sorted((tmp_path / "out" / "data").iterdir()))
    assert first == second


@pytest.mark.parametrize("format", FORMATS)
def test_more_files_than_are_open_at_once(tmp_path, format, monkeypatch):
    monkeypatch.setattr(textfile, "OPEN_FILES", 3)
    monkeypatch.setattr(parquetfile, "OPEN_FILES", 3)
    monkeypatch.setattr(parquetfile, "WAITING_BYTES", 1)
    found = rows(*((i, None, f"c{i % 10}") for i in range(100)))
    load(tmp_path / "out", *found, format=format, partition_by="country")
    assert list(files_of(tmp_path / "out").values()) == [10] * 10
    assert sorted(row["id"] for row in read(tmp_path / "out")) == list(range(100))
    check(tmp_path / "out")


def test_a_zip_file_has_partitions(tmp_path):
    load(tmp_path / "out.zip", *DAYS, partition_by="at:year")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == ["data/s-2026.csv", "data/s-null.csv", "datapackage.json"]


# ------------------------------------------------------------------------------------------------ growth


@pytest.mark.parametrize("format", FORMATS)
def test_a_package_goes_on_in_the_partitions_that_it_has(tmp_path, format):
    load(tmp_path / "out", *DAYS[:2], format=format, partition_by="at:month", mode="append")
    load(tmp_path / "out", DAYS[0], *DAYS[3:], format=format, mode="append")
    load(tmp_path / "out", *DAYS[:3], format=format, mode="append", partition_by="at:month")
    assert files_of(tmp_path / "out") == {
        "s-2026-01": 1,
        "s-2026-02": 1,
        "s-null": 1,
        "s-2026-01-2": 2,
    }
    check(tmp_path / "out")
    assert sorted(row["id"] for row in read(tmp_path / "out")) == [1, 1, 2, 3, 4]


def test_upsert_moves_a_row_to_the_file_of_its_new_value(tmp_path):
    load(tmp_path / "out", *DAYS, partition_by="at:month", mode="upsert")
    load(tmp_path / "out", *rows((1, "2026-02-03", "CH")), mode="upsert")
    assert list(files_of(tmp_path / "out").values()) == [1, 2, 1]
    check(tmp_path / "out")
    assert {row["id"]: row["country"] for row in read(tmp_path / "out")} == {
        1: "CH",
        2: "DE",
        3: "AT",
        4: None,
    }


def test_each_run_has_its_file(tmp_path):
    for _ in range(2):
        load(tmp_path / "out", *DAYS, partition_by="run", mode="append")
    first, second = files_of(tmp_path / "out")
    assert first.startswith("s-20")
    assert second.startswith("s-20")
    check(tmp_path / "out")


def test_runs_whose_rows_are_written_again_lie_together(tmp_path):
    load(tmp_path / "out", *DAYS[:3], partition_by="run", mode="append")
    load(tmp_path / "out", *DAYS[:1], record(id=9, at=None, country=None, new=1), mode="append")
    earlier, run = files_of(tmp_path / "out")
    assert (earlier, run[:4]) == ("s-earlier", "s-20")
    check(tmp_path / "out")


def test_other_partitions_are_not_added(tmp_path):
    load(tmp_path / "out", *DAYS, mode="append")
    with pytest.raises(ConfigError) as info:
        load(tmp_path / "out", *DAYS, mode="append", partition_by="at:month")
    assert str(info.value) == (
        f"Stream 's' in {tmp_path / 'out'} is not partitioned, and what is to be added by at:month.\n"
        "Leave --partition-by out to have it as it is there, or write the package anew with --write-mode replace."
    )
    assert len(read(tmp_path / "out")) == 4


# ----------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "text", ["run", "country", "at:month", "at:year", "a:b:day", "run:value", "a:b:value"]
)
def test_what_is_typed_is_what_is_kept(text):
    assert str(PartitionBy.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("at:months", "--partition-by at:months: 'months' is no unit. Did you mean month?"),
        (":day", "--partition-by :day: 'day' is no unit. Did you mean day?"),
        ("", "--partition-by : 'value' is no unit. Did you mean value?"),
    ],
)
def test_a_word_that_is_no_partition_is_refused(text, message):
    with pytest.raises(ConfigError) as info:
        PartitionBy.parse(text)
    assert info.value.message == message


def test_a_column_that_no_stream_has_publishes_nothing(tmp_path):
    said: list[str] = []
    with pytest.raises(ConfigError) as info:
        load(tmp_path / "out", *DAYS, partition_by="contry", notice=said.append)
    assert str(info.value) == (
        "--partition-by contry: no stream has a column 'contry', so that nothing was published.\n"
        "Did you mean 'country'?"
    )
    assert said == [
        "stream 's' has no column 'contry' to be partitioned by: it is written as one file. Did you mean country?"
    ]
    assert not (tmp_path / "out").exists()


def test_a_number_has_no_month(tmp_path):
    with pytest.raises(ConfigError) as info:
        load(tmp_path / "out", *DAYS, partition_by="id:month")
    assert info.value.message == (
        "--partition-by id:month: column 'id' of stream 's' holds no times (integer), so that it has no month."
    )


def test_a_file_for_each_row_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr("flow_singer.datapackage.partitions.MAX_PARTITIONS", 3)
    with pytest.raises(ConfigError) as info:
        load(tmp_path / "out", *DAYS, partition_by="id")
    assert info.value.message == "--partition-by id makes more than 3 files of stream 's'."


# -------------------------------------------------------------------------------------------- all that can come


@given(
    st.lists(st.sampled_from(["a", "b", "A", "c", None])),
    st.integers(1, 4),
    st.sampled_from(FORMATS),
)
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_the_file_of_its_value_and_in_no_other(tmp_path_factory, values, keys, format):
    folder = tmp_path_factory.mktemp("one") / "out"
    found = [(i % keys, None, value) for i, value in enumerate(values)]
    load(folder, *rows(*found), format=format, partition_by="country")
    kept = {key: value for key, _, value in found}
    assert {row["id"]: row["country"] for row in read(folder)} == kept
    (resource,) = descriptor(folder)["resources"]
    if values:
        parts = {part["partition"]: part["rows"] for part in resource["flow:parts"]}
        assert parts == Counter(value or "null" for value in kept.values())
    if format == "csv":
        for part in resource["flow:parts"]:
            with (folder / part["path"]).open(newline="") as file:
                assert {row["country"] or "null" for row in csv.DictReader(file)} <= {part.get("partition")}


def test_rows_of_a_chunk_are_found_by_their_file():
    numbers = np.array([2, 0, -1, 2, 5], dtype=np.int32)
    keep = np.array([True, True, True, False, True])
    assert [(n, r.tolist()) for n, r in rows_by_file(numbers, 3, keep)] == [(0, [1]), (2, [0])]
    assert [(n, r.tolist()) for n, r in rows_by_file(numbers, 3, None)] == [(0, [1]), (2, [0, 3])]
