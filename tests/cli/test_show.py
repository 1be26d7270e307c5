"""`flow show`: what a person sees of data before they do anything with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command, Result
from terminal import Terminal

Flow = Callable[..., Result]

SALES = "id,name,price,day\n1,Ada,1.50,2024-01-31\n2,Bo,,2024-02-01\n3,,7,2024-02-02\n"


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    (tmp_path / "sales.csv").write_text(SALES)
    return tmp_path


def test_a_file(sales: Path, flow: Flow) -> None:
    found = flow("show", "sales.csv")
    assert (found.code, found.stderr) == (0, "")
    assert found.stdout.decode() == (
        "sales: 3 records\n"
        "\n"
        "FIELD    TYPE     NULL\n"
        "id       integer  yes\n"
        "name     string   yes\n"
        "price    number   yes\n"
        "day      date     yes\n"
        "\n"
        "id    name    price    day\n"
        "1     Ada     1.50     2024-01-31\n"
        "2     Bo               2024-02-01\n"
        "3             7        2024-02-02\n"
    )


def test_fewer_rows_and_one_stream(sales: Path, flow: Flow) -> None:
    (sales / "more.csv").write_text("a\n1\n")
    found = flow("show", "./", "--stream", "sales", "--rows", "1").stdout.decode()
    assert "more:" not in found
    assert found.endswith("1     Ada     1.50     2024-01-31\n… and 2 more records.\n")
    near = flow("show", "./", "--stream", "sale")
    assert near.code == 2
    assert near.stderr == "Error: ./ has no stream 'sale'.\nDid you mean 'sales'?\n"


def test_a_profile(sales: Path, flow: Flow) -> None:
    found = flow("show", "sales.csv", "--profile", "--rows", "0").stdout.decode().splitlines()
    assert found[2].split() == [
        "FIELD",
        "TYPE",
        "NULLS",
        "DISTINCT",
        "FROM",
        "TO",
        "SPREAD",
        "MOST",
        "COMMON",
    ]
    price = next(line for line in found if line.startswith("price"))
    assert "1 (33%)" in price
    assert "1.50" in price
    assert len(found) == 7


def test_json_is_the_same_for_machines(sales: Path, flow: Flow) -> None:
    report = json.loads(flow("show", "sales.csv", "--profile", "--json").stdout)
    (stream,) = report["streams"]
    assert (stream["name"], stream["records"], stream["is_whole"]) == ("sales", 3, True)
    assert [one["name"] for one in stream["fields"]] == ["id", "name", "price", "day"]
    assert stream["head"]["rows"][1] == ["2", "Bo", None, "2024-02-01"]
    assert stream["fields"][0]["profile"]["max"] == "3"


def test_a_schema_can_be_frozen(sales: Path, flow: Flow) -> None:
    found = flow("show", "sales.csv", "--schema")
    assert json.loads(found.stdout)["properties"]["price"] == {"type": ["null", "number"]}
    (sales / "more.csv").write_text("a\n1\n")
    several = flow("show", "./", "--schema")
    assert several.code == 2
    assert "has 2 streams, and a schema is of one" in several.stderr
    assert json.loads(flow("show", "./", "--schema", "--stream", "more").stdout)["properties"] == {
        "a": {"type": ["null", "integer"]}
    }


def test_a_package_is_counted_by_its_descriptor(sales: Path, flow: Flow) -> None:
    assert flow("run", "tap-demo", "out/").code == 0
    data = sales / "out" / "data" / "issues.csv"
    found = flow("show", "out/", "--stream", "issues", "--rows", "1").stdout.decode()
    assert found.startswith("issues: 1,000 records, key id, newer by updated_at\n")
    data.write_text(data.read_text() + "x")  # only what is read is looked at
    assert flow("show", "out/", "--stream", "users").code == 0
    broken = flow("show", "out/", "--stream", "issues")
    assert broken.code == 65
    assert "its descriptor says" in broken.stderr


def test_a_tap_and_a_pipe(sales: Path, flow: Flow, command: Command) -> None:
    found = flow("show", "tap-demo", "--limit", "5", "--stream", "users", "--rows", "1")
    assert found.code == 0, found.stderr
    assert found.stdout.decode().startswith("users: 5 records")
    piped = command.shell("flow run tap-demo -q | flow show - --stream users --json")
    assert piped.code == 0, piped.stderr
    assert json.loads(piped.stdout)["streams"][0]["records"] == 100


def test_a_stream_that_is_cut_short_is_told(sales: Path, command: Command) -> None:
    found = command.shell("flow run tap-demo -q | head -n 3 | flow show - ; exit $?")
    assert found.code == 75
    assert "incomplete" in found.stderr


def test_settings_of_files_hold(sales: Path, flow: Flow) -> None:
    found = flow("show", "sales.csv", "--config", '{"types": {"id": "string"}, "key": ["id"]}')
    assert ["id", "string", "no"] in [line.split() for line in found.stdout.decode().splitlines()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sale.csv"], "There is no file sale.csv.\nDid you mean 'sales.csv'?"),
        (["sales.csv", "--config", '{"delimitr": ";"}'], "There is no setting 'delimitr' of data."),
        (["sales.csv", "--schema", "--json"], "--schema prints a schema and nothing else"),
        (["target-csv"], "'target-csv' is a target, but it stands where a tap belongs."),
        (["-", "--config", "{}"], "--config is for files and taps"),
        (["nowhere/"], "There is no folder nowhere/."),
    ],
)
def test_what_cannot_be_meant(sales: Path, flow: Flow, words: list[str], said: str) -> None:
    found = flow("show", *words)
    assert found.code == 2
    assert said in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("columns", [40, 100])
def test_a_head_fits_the_terminal(sales: Path, command: Command, columns: int) -> None:
    names = [f"column_{number}" for number in range(30)]
    (sales / "wide.csv").write_text(",".join(names) + "\n" + ",".join(map(str, range(30))) + "\n")
    with Terminal("flow show wide.csv", columns=columns, cwd=sales, env=command.env) as screen:
        assert screen.end() == 0
        text = screen.text
    assert "Not shown: column_" in text.replace("\n", " ")
    head = [line for line in text.splitlines() if line.startswith("0 ")]
    assert all(len(line) <= columns for line in head)


def test_cells_cannot_move_the_cursor(sales: Path, flow: Flow) -> None:
    (sales / "odd.csv").write_text('a,b\n"x\x1b[31m\n",\u202ey\n')
    shown = flow("show", "odd.csv").stdout
    assert b"\x1b" not in shown
    assert "\u202e" not in shown.decode()
