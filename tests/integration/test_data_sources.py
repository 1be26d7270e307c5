"""Data where a tap may stand: `flow run PATH …`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command import Command, Result
from projects import write_project

Flow = Callable[..., Result]

ROWS = "id,name\n1,Ada\n2,Bo\n"


def rows_of(package: Path, stream: str) -> str:
    return (package / "data" / f"{stream}.csv").read_bytes().decode().replace("\r\n", "\n")


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    (tmp_path / "sales.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of the test's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    yield from _serving(handler)


def _serving(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_becomes_a_package_and_comes_back(sales: Path, flow: Flow) -> None:
    assert flow("run", "sales.csv", "out/").code == 0
    assert rows_of(sales / "out", "sales") == ROWS
    for place in ("out/", "./out/", "out/datapackage.json", str(sales / "out")):
        again = flow("run", place, "again/")
        assert again.code == 0, again.stderr
        assert rows_of(sales / "again", "sales") == ROWS
    assert flow("run", "out/", "out.zip").code in (0, 2)


def test_nothing_is_written_beside_the_data(sales: Path, flow: Flow) -> None:
    inner = sales / "inner"
    inner.mkdir()
    (inner / "data.csv").write_text(ROWS)
    before = set(sales.rglob("*"))
    for place in (inner / "data.csv", inner, f"{inner}/*.csv", "inner/data.csv", "inner/../sales.csv"):
        for words in (["run", place], ["discover", place]):
            result = flow(*words)
            assert result.code == 0, result.stderr
    assert set(sales.rglob("*")) == before


def test_a_folder_without_its_slash_is_told_how_to_be_read(sales: Path, flow: Flow) -> None:
    assert flow("run", "sales.csv", "out/").code == 0
    result = flow("run", "out", "again/")
    assert result.code == 2
    assert "'out' is a folder, but it stands where a tap belongs.\n" in result.stderr
    assert result.stderr.endswith("To read the data in it, end it with a slash: out/\n")
    assert flow("run", "out/", "again/").code == 0


def test_a_file_passes_functions_and_a_shell_pipe(sales: Path, flow: Flow, command: Command) -> None:
    (sales / "t.py").write_text("def sales(df):\n    return df[df.id > 1]\n")
    assert flow("run", "sales.csv", "t.py", "out/").code == 0
    assert rows_of(sales / "out", "sales") == "id,name\n2,Bo\n"
    piped = command.shell("flow run sales.csv | flow transform t.py | flow load pipe/")
    assert piped.code == 0, piped.stderr
    assert rows_of(sales / "pipe", "sales") == "id,name\n2,Bo\n"


def test_a_glob_is_one_stream(sales: Path, flow: Flow) -> None:
    (sales / "sales2.csv").write_text("id,name\n3,Cy\n")
    assert flow("run", "sales*.csv", "out/").code == 0
    assert rows_of(sales / "out", "sales") == ROWS + "3,Cy\n"


def test_select_and_limit_hold(sales: Path, flow: Flow) -> None:
    found = flow("run", "sales.csv", "--select", "sales.id", "--limit", "1")
    assert found.code == 0, found.stderr
    assert [one["record"] for one in found.messages if one["type"] == "RECORD"] == [{"id": 1}]
    near = flow("run", "sales.csv", "--select", "salse.*")
    assert near.code == 2
    assert "sales" in near.stderr


def test_discover_shows_its_streams(sales: Path, flow: Flow) -> None:
    found = flow("discover", "sales.csv")
    assert found.code == 0, found.stderr
    assert "sales" in found.stdout.decode()


def test_a_tap_of_that_name_comes_first(tmp_path: Path, flow: Flow) -> None:
    said = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{}}},"key_properties":[]}\n'
    write_project(tmp_path, taps={"sales.csv": {"script": "says.py", "config": {"stdout": said}}})
    (tmp_path / "sales.csv").write_text(ROWS)
    assert flow("run", "sales.csv").messages[0]["stream"] == "s"


def test_a_replication_key_reads_only_what_is_new(sales: Path, flow: Flow) -> None:
    write_project(
        sales, targets={"target-x": {"script": "publishes.py", "config": {"rows": str(sales / "ids")}}}
    )
    words = ("run", "sales.csv", "--config", '{"replication_key": "id"}', "target-x")

    def count(*more: str) -> str:
        found = flow(*words, *more)
        assert found.code == 0, found.stderr
        return found.stderr.partition("target-x: ")[2].partition(" of ")[0]

    assert count() == "2 records"
    (sales / "sales.csv").write_text(ROWS + "3,Cy\n")
    assert count() == "2 records"  # that of the bookmark, and the new one
    assert count() == "1 record"
    assert count("--full-refresh") == "3 records"


@pytest.mark.parametrize("place", ["sales.csv", "out/datapackage.json", "out.zip"])
def test_a_server(sales: Path, flow: Flow, server: str, place: str) -> None:
    assert flow("run", "sales.csv", "out/").code == 0
    assert flow("run", "sales.csv", "out.zip").code == 0
    found = flow("run", f"{server}/{place}", "again/")
    assert found.code == 0, found.stderr
    assert rows_of(sales / "again", "sales") == ROWS


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        ("cut", 69, "the server cut the download"),
        ("page", 65, "is a web page"),
        ("gone", 65, "the server answers 404"),
        ("busy", 69, "the server answers 503"),
        ("off", 69, "the server refuses the connection"),
    ],
)
def test_a_server_on_a_bad_day(tmp_path: Path, flow: Flow, kind: str, code: int, message: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"gone": 404, "busy": 503}.get(kind, 200))
            self.send_header("Content-Type", "text/html" if kind == "page" else "text/csv")
            self.send_header("Content-Length", str(len(ROWS) + (100 if kind == "cut" else 0)))
            self.end_headers()
            self.wfile.write(ROWS.encode())

        def log_message(self, *_: object) -> None:
            pass

    for url in _serving(Handler):
        place = "http://127.0.0.1:9/sales.csv" if kind == "off" else f"{url}/sales.csv"
        found = flow("run", place, "out/")
    assert found.code == code
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_broken_data_leave_what_was_there(sales: Path, flow: Flow) -> None:
    assert flow("run", "sales.csv", "out/").code == 0
    (sales / "sales.csv").write_text(ROWS + "3\n")
    found = flow("run", "sales.csv", "out/")
    assert found.code == 65
    assert found.stderr.splitlines()[-2:] == [
        "Error: sales.csv, line 4: 1 cell instead of 2: '3'",
        "Correct the row, name another 'delimiter', or leave such rows out with 'on_error': 'skip'.",
    ]
    assert rows_of(sales / "out", "sales") == ROWS


def test_the_stage_behind_hears_of_it(sales: Path, command: Command) -> None:
    (sales / "sales.csv").write_text(ROWS + "3\n")
    found = command.shell('flow run sales.csv | flow load out/; echo "${PIPESTATUS[*]}" >codes')
    assert "line 4" in found.stderr
    assert (sales / "codes").read_text() == "65 75\n"


def test_a_path_that_is_said_twice(sales: Path, flow: Flow) -> None:
    found = flow("run", "sales.csv", "--config", json.dumps({"path": "other.csv"}))
    assert found.code == 2
    assert "sales.csv is to be read, but 'path' of --config is 'other.csv'." in found.stderr


def test_an_entry_without_a_path_holds_for_each_path(sales: Path, flow: Flow) -> None:
    entry = {"name": "tap-datapackage", "config": {"types": {"id": "string"}}, "select": ["*.id"]}
    (sales / "meltano.yml").write_text(json.dumps({"version": 1, "plugins": {"extractors": [entry]}}))
    assert flow("check").code == 0
    found = flow("run", "sales.csv")
    assert found.code == 0, found.stderr
    assert [one["record"] for one in found.messages if one["type"] == "RECORD"] == [{"id": "1"}, {"id": "2"}]
    given = flow("run", "sales.csv", "--config", '{"types": {"id": "number"}}')
    assert [one["record"] for one in given.messages if one["type"] == "RECORD"] == [{"id": 1}, {"id": 2}]
    entry["config"]["path"] = "other.csv"  # type: ignore[index]
    (sales / "meltano.yml").write_text(json.dumps({"version": 1, "plugins": {"extractors": [entry]}}))
    own = flow("run", "sales.csv")
    assert [one["record"] for one in own.messages if one["type"] == "RECORD"] == [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "Bo"},
    ]


def test_a_file_that_came_since_is_a_stream_though_some_are_selected(sales: Path, flow: Flow) -> None:
    (sales / "data").mkdir()
    (sales / "data" / "a.csv").write_text(ROWS)
    words = ("run", "data/", "--select", "*.id")
    assert flow(*words).code == 0
    (sales / "data" / "b.csv").write_text(ROWS)
    found = flow(*words)
    assert {one["stream"] for one in found.messages if one["type"] == "RECORD"} == {"a", "b"}
