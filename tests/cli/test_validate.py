"""`flow validate`: a stream on stdin, all that a tap writes, a package; a report, and the code of bad data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Command
from projects import write_project
from pushed import line, record, records, schema
from streams import framed, messages

STREAM = framed(messages(5))
TEXT = {"type": ["null", "string"]}


def test_a_clean_stream_ends_with_0(command: Command) -> None:
    done = command.flow("validate", "-", stdin=STREAM)
    assert done.code == 0, done.stderr
    assert done.stdout == b"5 records of 1 stream: all as expected.\n"


def test_what_breaks_the_schema_is_named_and_ends_with_65(command: Command) -> None:
    properties = {
        "id": {"type": "integer", "maximum": 3},
        "at": {**TEXT, "format": "date"},
        "e": {"enum": ["a"]},
    }
    rows = [
        {"id": 1, "at": "2026-02-30"},
        {"id": 4, "e": "b"},
        {"id": None},
        {"id": "x"},
        {"id": 1, "e": None},
    ]
    stream = schema("s", properties, ["id"], required=["e"]) + records("s", rows)
    done = command.flow("validate", "-", stdin=stream)
    assert done.code == 65
    assert done.stdout.decode() == (
        "LEVEL    STREAM    COLUMN    BROKEN        ROWS    FIRST\n"
        'error    s         at        format date   1       row 1 ("2026-02-30")\n'
        'error    s         e         enum [a]      1       row 2 ("b")\n'
        "error    s         e         not null      1       row 5 (null)\n"
        "error    s         e         required      2       row 1 (null), row 3 (null)\n"
        "error    s         id        key not null  1       row 3 (null)\n"
        "error    s         id        maximum 3     1       row 2 (4)\n"
        'error    s         id        type          1       line 5 (expected integer, got string. Value: "x")\n'
        "warning  s         id        key unique    1       row 5 (1)\n"
        "5 records of 1 stream: 8 errors, 1 warning.\n"
    )


def test_for_machines_it_is_one_document(command: Command) -> None:
    stream = schema("s", {"id": {"type": "integer", "minimum": 2}}) + record("s", {"id": 1}) + b"no message\n"
    done = command.flow("validate", "-", "--json", stdin=stream)
    assert done.code == 65
    answer = json.loads(done.stdout)
    assert answer["valid"] is False
    assert answer["errors"] == 2
    assert answer["records"] == {"s": 1}
    assert [(one["stream"], one["expectation"], one["count"]) for one in answer["findings"]] == [
        ("", "message", 1),
        ("s", "minimum 2", 1),
    ]
    assert answer["findings"][1]["examples"] == [{"row": 1, "value": "1"}]


def test_expectations_of_meltano_yml_and_of_a_file_are_looked_at(command: Command) -> None:
    write_project(
        command.cwd,
        taps={
            "tap-x": {
                "script": "says.py",
                "config": {"stdout": STREAM.decode()},
                "expect": {
                    "s": [
                        {"maximum": {"id": 4}, "on_failure": "drop"},
                        {"unique": "text", "on_failure": "warn"},
                    ]
                },
            }
        },
    )
    (command.cwd / "e.yml").write_text("s: {min_rows: 9}\n")
    for words, stdin in ((["-"], STREAM), (["tap-x"], None)):
        done = command.flow("validate", *words, "--expect", "e.yml", stdin=stdin)
        assert done.code == 65, done.stderr
        assert done.stdout.decode() == (
            "LEVEL    STREAM    COLUMN    BROKEN      ROWS    FIRST\n"
            "error    s                   min_rows 9          there are 5\n"
            "error    s         id        maximum 4   1       row 5 (5)\n"
            'warning  s         text      unique      4       row 2 (""), row 3 (""), row 4 (""), …\n'
            "5 records of 1 stream: 2 errors, 4 warnings.\n"
        )


def test_a_tap_that_fails_is_the_cause_though_what_came_is_fine(command: Command) -> None:
    write_project(
        command.cwd, taps={"tap-x": {"script": "says.py", "config": {"stdout": STREAM.decode(), "exit": 3}}}
    )
    done = command.flow("validate", "tap-x")
    assert done.code == 69
    assert "Error: tap-x exited with code 3" in done.stderr
    assert done.stdout.decode() == "5 records of 1 stream: all as expected.\n"


def test_a_tap_may_be_looked_at_in_part(command: Command) -> None:
    done = command.flow("validate", "tap-demo", "--limit", "3", "--config", '{"records": 100}')
    assert done.code == 0, done.stderr
    assert done.stdout == b"12 records of 4 streams: all as expected.\n"


def test_a_stream_that_was_cut_short_is_told(command: Command) -> None:
    done = command.flow("validate", "-", stdin=framed(messages(5), end=False))
    assert done.code == 75
    assert done.stdout == b"5 records of 1 stream: all as expected.\n"
    assert "Error: The stream is incomplete" in done.stderr


def test_it_stops_at_so_many_errors(command: Command) -> None:
    stream = schema("s", {"id": {"type": "integer", "minimum": 9}})
    stream += b"".join(records("s", [{"id": 1}]) + line({"type": "STATE", "value": n}) for n in range(20_000))
    done = command.flow("validate", "-", "--limit-errors", "5", stdin=stream)
    assert done.code == 65
    assert done.stdout.decode().endswith("; the rest was not looked at.\n")
    assert b"20,000 records" not in done.stdout


def test_a_package_is_held_to_its_own_schema(command: Command) -> None:
    stream = schema(
        "s", {"id": {"type": "integer"}, "state": {"type": "string", "enum": ["open", "closed"]}}, ["id"]
    )
    stream += records("s", [{"id": n, "state": "open"} for n in range(5)])
    assert command.flow("load", "out/", stdin=stream).code == 0
    done = command.flow("validate", "out/")
    assert done.code == 0, done.stderr
    assert b"all as expected" in done.stdout
    data = command.cwd / "out/data/s.csv"
    data.write_text(data.read_text().replace("3,open", "3,opxn"))
    done = command.flow("validate", "out/")
    assert done.code == 65
    assert (
        'state     frictionless: constraint error  1       row 5 ("opxn": constraint "enum" is'
        in done.stdout.decode()
    )
    assert "frictionless" not in command.flow("validate", "out/", "--quick").stdout.decode()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-", "--limit", "3"], "--limit is for a tap, which this is not."),
        (["-", "--config", "{}"], "--config is for a tap, which this is not."),
        (["tap-demo", "--quick"], "--quick is for a Data Package, which this is not."),
        (["tap-demo", "--require-end"], "--require-end is for a stream on stdin, which this is not."),
        (["nowhere/"], "nowhere/"),
        (["target-csv"], "'target-csv'"),
        (["-", "--expect", "none.yml"], "none.yml cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_refused(command: Command, words: list[str], said: str) -> None:
    done = command.flow("validate", *words, stdin=STREAM)
    assert done.code == 2
    assert said in done.stderr


def test_an_expectation_without_a_meaning_ends_with_65_and_its_place(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "e.yml").write_text("s:\n  not_null: [idd]\n")
    done = command.flow("validate", "-", "--expect", "e.yml", stdin=STREAM)
    assert done.code == 65
    assert (
        "e.yml, line 2: not_null names column 'idd', which stream 's' lacks.\nDid you mean 'id'?"
        in done.stderr
    )
