"""CSV and JSON Lines that are packed on the way: the same bytes, packed, whatever is corrected at the end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from command import Result
from packages import PACKED
from test_packagegrowth import add, check, paths, read
from test_sink import TEXT, descriptor, load, read_back, record, schema

from flow_singer.datapackage import textfile
from flow_singer.datapackage.hashedfile import HashedFile
from flow_singer.errors import ConfigError, TargetError

WIDER = {"id": {"type": "integer"}, "name": TEXT, "later": TEXT}
ROWS = [schema(), *(record(id=i % 7, name=f'n{i} "é"\n') for i in range(20))]
STREAMS = {
    "as they come": [schema(key=()), *ROWS[1:]],
    "with rows that go": ROWS,
    "with a column that comes late": [schema(key=()), *ROWS[1:], schema(properties=WIDER, key=())],
    "without a row": [schema()],
}


@pytest.mark.parametrize("lines", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("form", PACKED)
def test_what_is_packed_is_the_file_that_would_be_there_unpacked(tmp_path, form, lines, monkeypatch):
    monkeypatch.setattr(textfile, "CHUNK_ROWS", 3)
    plain = form.removesuffix(".gz")
    load(tmp_path / "packed", *lines, format=form)
    load(tmp_path / "plain", *lines, format=plain)
    data = (tmp_path / f"packed/data/s.{form}").read_bytes()
    assert gzip.decompress(data) == (tmp_path / f"plain/data/s.{plain}").read_bytes()
    (packed,), (unpacked,) = (descriptor(tmp_path / one)["resources"] for one in ("packed", "plain"))
    assert packed["format"] == plain
    assert packed["compression"] == "gz"
    assert packed["bytes"] == len(data)
    changed = {"path", "bytes", "hash", "compression"}
    assert {k: v for k, v in packed.items() if k not in changed} == {
        k: v for k, v in unpacked.items() if k not in changed
    }


@pytest.mark.parametrize("form", PACKED)
def test_the_same_rows_give_the_same_bytes(tmp_path, form):
    load(tmp_path / "a", *ROWS, batch=1, format=form)
    load(tmp_path / "b", *ROWS, batch=100, format=form)
    first, second = ((tmp_path / f"{one}/data/s.{form}").read_bytes() for one in "ab")
    assert first == second
    flags, seconds = first[3], first[4:8]
    assert (flags, seconds) == (0, bytes(4))  # no name, no time


@pytest.mark.parametrize("form", PACKED)
def test_others_read_it(tmp_path, form):
    load(tmp_path / "p", *ROWS[:6], format=form)
    path = tmp_path / f"p/data/s.{form}"
    frame = pd.read_csv(path) if form == "csv.gz" else pd.read_json(path, lines=True)
    assert frame["id"].tolist() == list(range(5))
    assert frame["name"].tolist() == [f'n{i} "é"\n' for i in range(5)]
    assert read_back(tmp_path / "p") == frame.to_dict("records")


def test_a_package_that_grows_stays_packed_and_takes_nothing_else(tmp_path):
    add(tmp_path / "p", *ROWS[:3], format="csv.gz", csv_null="\\N")
    add(tmp_path / "p", schema(), record(id=9, name=None))
    assert paths(tmp_path / "p") == ["data/s.csv.gz", "data/s-2.csv.gz"]
    check(tmp_path / "p")
    assert read(tmp_path / "p")[-1] == {"id": 9, "name": None}
    before = descriptor(tmp_path / "p")
    with pytest.raises(ConfigError, match=r"holds csv\.gz, and what is to be added is csv\.") as caught:
        add(tmp_path / "p", schema(), record(id=10), format="csv")
    assert "--format csv.gz" in caught.value.hint
    with pytest.raises(ConfigError, match="null is '\\\\N', and in what is to be added it is 'x'"):
        add(tmp_path / "p", schema(), record(id=10), csv_null="x")
    assert descriptor(tmp_path / "p") == before
    load(tmp_path / "q", *ROWS[:3], format="csv")
    with pytest.raises(ConfigError, match=r"holds csv, and what is to be added is csv\.gz\."):
        add(tmp_path / "q", schema(), record(id=10), format="csv.gz")


def test_a_disk_that_is_full_is_told_though_another_thread_meets_it(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(HashedFile, "write", full)
    with pytest.raises(TargetError, match="No space left on device"):
        load(tmp_path / "p", *ROWS, format="csv.gz")
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("form", PACKED)
def test_validate_and_show_look_into_it(tmp_path: Path, flow: Callable[..., Result], form: str) -> None:
    stream = "".join(f"{line}\n" for line in ROWS).encode()
    more = ["--csv-null", "\\N"] if form == "csv.gz" else []
    assert flow("load", "p/", "--format", form, *more, stdin=stream).code == 0
    result = flow("validate", "p/")
    assert result.code == 0, result.stderr
    assert b"was not asked" not in result.stdout
    assert "was not asked" not in result.stderr
    package = descriptor(tmp_path / "p")
    package["resources"][0]["schema"]["fields"][1]["constraints"] = {"maxLength": 3}
    (tmp_path / "p/datapackage.json").write_text(json.dumps(package))
    result = flow("validate", "p/")
    assert result.code == 65
    assert b"frictionless: constraint error" in result.stdout
    assert 'n19 "é"' in flow("show", "p/").stdout.decode()
