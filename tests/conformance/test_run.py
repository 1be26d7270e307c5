"""`flow run TAP` as the next stage of a pipe sees it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import Command, Result
from projects import write_project

Flow = Callable[..., Result]

SCHEMA = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORD = '{"type":"RECORD","stream":"s","record":{"id":1}}\n'
STATE = '{"type":"STATE","value":{"bookmarks":{"s":{"id":1}}}}\n'

ODD_LINES = (
    '{"type": "SCHEMA", "stream": "s", "schema": {"properties": {"n": {"type": "number"}}}, "key_properties": []}\n'
    "\n"
    '{"stream":"s","record":{"n":1.10},"type":"RECORD","time_extracted":"2020-01-01T00:00:00Z","extra":[1E5]}\n'
    '{"type":"RECORD","stream":"s","record":{"n":1,"n":2,"t":"\\u00e9 é \\ud83d\\ude00 \u2028"}} \n'
    "   \t\n"
    '{"type":"RECORD","stream":"s","record":{"n":123456789012345678901234567890.10}}\r\n'
    '{"type":"RECORD","stream":"s","record":{"n":NaN,"t":"\\ud800"}}\n'
    '{"type":"X-HEARTBEAT","at":1}\n'
    '{"value":{"b":1.10,"a":{"type":"RECORD"}},"type":"STATE"}\n'
    '{"type":"ACTIVATE_VERSION","stream":"s","version":1}\n'
    "\n"
    '{"type":"RECORD","stream":"s","record":{"last":"without newline"}}'
)


def _marks(lines: list[bytes]) -> tuple[list[int], list[int]]:
    """Positions of the lines with a header, and of those with a trailer."""
    marks = {n: mark for n, line in enumerate(lines) if (mark := json.loads(line).get("_flow")) is not None}
    return [n for n, mark in marks.items() if "end" not in mark], [
        n for n, mark in marks.items() if "end" in mark
    ]


def _trailer(result: Result) -> dict[str, Any]:
    trailer: dict[str, Any] = result.messages[-1]["_flow"]
    return trailer


def _says(root: Path, **config: Any) -> Path:
    return write_project(root, taps={"tap-x": {"script": "says.py", "config": config}})


def test_t1_plain_output_is_the_taps_output_without_its_blank_lines(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=ODD_LINES)
    result = flow("run", "tap-x", "--plain")
    assert result.code == 0, result.stderr
    said = [line for line in ODD_LINES.encode().split(b"\n") if line.strip()]
    assert result.stdout == b"\n".join(said) + b"\n"


def test_t2_one_header_and_one_trailer_are_added_and_nothing_else(tmp_path: Path, flow: Flow) -> None:
    said = SCHEMA + RECORD + STATE + SCHEMA + RECORD
    _says(tmp_path, stdout=said)
    result = flow("run", "tap-x")
    assert result.code == 0, result.stderr
    assert _marks(result.lines) == ([0], [5])
    unmarked = [{key: value for key, value in one.items() if key != "_flow"} for one in result.messages]
    sent = [json.loads(line) for line in said.splitlines()]
    assert unmarked == [*sent, json.loads(STATE)]
    assert result.lines[1:5] == said.encode().splitlines()[1:]
    trailer = _trailer(result)
    assert trailer["end"] == "ok"
    assert trailer["lines"] == 5
    assert trailer["records"] == {"s": 2}


def test_t2_without_a_state_the_trailer_is_on_the_schema(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD)
    result = flow("run", "tap-x")
    assert result.messages[-1]["type"] == "SCHEMA"
    assert _trailer(result)["end"] == "ok"


STREAMS = sorted(
    (
        one
        for one in files("singer_sdk.testing.target_test_streams").iterdir()
        if one.name.endswith(".singer")
    ),
    key=lambda one: one.name,
)


@pytest.mark.filterwarnings("ignore")  # the SDK's own
@pytest.mark.parametrize("stream", STREAMS, ids=lambda one: one.name.removesuffix(".singer"))
def test_t2_a_target_of_the_sdk_loads_marked_streams_as_unmarked_ones(
    tmp_path: Path, flow: Flow, stream: Any
) -> None:
    _says(tmp_path, stdout_file=str(stream))
    marked = flow("run", "tap-x")
    assert marked.code == 0, marked.stderr
    headers, trailers = _marks(marked.lines)
    assert (len(headers), len(trailers)) == (1, 1)
    assert _load_with_sdk(marked.stdout.decode()) == _load_with_sdk(stream.read_text(encoding="utf-8"))


def _load_with_sdk(messages: str) -> dict[str, Any]:
    from singer_sdk import BatchSink, Target

    seen: dict[str, Any] = {"rows": [], "error": None}

    class MemorySink(BatchSink):
        def process_batch(self, context: dict[str, Any]) -> None:
            rows = context.get("records", [])
            for row in rows:
                row.pop("_sdc_sequence", None)
            seen["rows"].append((self.stream_name, list(self.key_properties), repr(rows)))

    class MemoryTarget(Target):
        name = "target-memory"
        config_jsonschema: Mapping[str, Any] = {"properties": {}}
        default_sink_class = MemorySink

    out = io.StringIO()
    target = MemoryTarget(config={"add_record_metadata": False})
    from contextlib import redirect_stdout

    with redirect_stdout(out):
        try:
            target.listen(io.StringIO(messages))
        except Exception as error:
            seen["error"] = type(error).__name__
    seen["states"] = out.getvalue()
    seen["rows"].sort(key=lambda row: row[0])  # the SDK drains its streams in threads, in any order
    return seen


def test_t3_a_tap_that_fails_ends_the_stream_as_failed(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD + STATE + RECORD, stderr="503 Service Unavailable\n", exit=3)
    result = flow("run", "tap-x")
    assert result.code == 69
    trailer = _trailer(result)
    assert (trailer["end"], trailer["code"]) == ("failed", 69)
    assert "tap-x: 503 Service Unavailable" in result.stderr
    assert (
        "Error: tap-x exited with code 3 after 2 records, the last of stream 's'. "
        'Its last line was: "503 Service Unavailable"' in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_t3_a_tap_that_fails_before_its_first_line_leaves_stdout_empty(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, exit=1)
    result = flow("run", "tap-x")
    assert (result.code, result.stdout) == (69, b"")
    assert "tap-x exited with code 1 before its first record." in result.stderr


def test_t4_a_tap_that_is_killed_ends_the_stream_as_failed(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD, signal="SIGKILL")
    result = flow("run", "tap-x")
    assert result.code == 69
    assert _trailer(result)["end"] == "failed"
    assert "tap-x was killed by SIGKILL after 1 record" in result.stderr


def test_t5_sigterm_never_looks_like_a_complete_stream(tmp_path: Path, command: Command) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "waits.py"}})
    process = command.start("run", "tap-x")
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    tap = psutil.Process(json.loads(lines[1])["record"]["pid"])
    process.send_signal(signal.SIGTERM)
    rest, stderr = process.communicate(timeout=90)
    assert process.returncode == 143
    headers, trailers = _marks([*lines, *rest.splitlines()])
    assert headers == [0]
    assert all(json.loads([*lines, *rest.splitlines()][n])["_flow"]["end"] == "failed" for n in trailers)
    assert not tap.is_running()
    assert b"Traceback" not in stderr


def test_t6_ten_megabytes_on_stderr_do_not_block_the_tap(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "floods_stderr.py"}})
    result = flow("run", "tap-x", "--plain", timeout_s=30)
    assert result.code == 0, result.stderr[-500:]
    assert len(result.lines) == 2
    assert result.stderr.count("tap-x: chatter of a verbose library, 50 characters a line\n") == 100_000
    assert result.stderr.count("y") >= 5_000_000


_MEASURED = (
    sys.executable,
    "-c",
    "import resource, subprocess, sys; code = subprocess.call([sys.executable, '-m', 'flow_singer', *sys.argv[1:]]);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)",
)
"""`flow`, started by a process that is small: what a process has at most begins with what its parent had."""


def test_t7_a_line_of_100_mb_passes_in_less_than_four_times_its_memory(
    tmp_path: Path, command: Command
) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "long_line.py"}})
    out = tmp_path / "out.singer"
    with out.open("wb") as file:
        process = command.start("run", "tap-x", stdout=file.fileno(), program=_MEASURED)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    most_kib = int(said.split()[-1])
    line_bytes = 1600 * 65536
    with out.open("rb") as file:
        file.readline()
        record = file.readline()
    digest = hashlib.sha256(b'{"type":"RECORD","stream":"s","record":{"text":"')
    for _ in range(1600):
        digest.update(b"0123456789abcdef" * 4096)
    digest.update(b'"}}\n')
    assert hashlib.sha256(record).hexdigest() == digest.hexdigest()
    assert most_kib * 1024 < 4 * line_bytes


@pytest.mark.parametrize("tap", ["endless.py", "waits.py"])
def test_t8_a_reader_that_leaves_ends_the_tap(tmp_path: Path, command: Command, tap: str) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": tap}})
    process = command.start("run", "tap-x")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1
    process.stdout.close()
    stderr = process.stderr.read()
    assert process.wait(90) == 141
    assert b"Traceback" not in stderr
    assert not any(child.is_running() for child in children)


def test_t8_head_in_a_shell_pipe(tmp_path: Path, shell: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "endless.py"}})
    result = shell('flow run tap-x | head -1; echo "${PIPESTATUS[0]}"')
    assert len(result.lines) == 2
    assert json.loads(result.lines[0])["type"] == "SCHEMA"
    assert result.lines[1] == b"141"
    assert "Traceback" not in result.stderr
    assert "rror" not in result.stderr


def test_t9_the_state_is_passed_on_as_it_is(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "resumes.py"}})
    state = '{"bookmarks": {"s": {"b": 1.10, "a": 123456789012345678901}}, "currently_syncing": null}'
    (tmp_path / "state.json").write_text(state)
    result = flow("run", "tap-x", "--state", "state.json")
    assert result.code == 0, result.stderr
    assert result.messages[1]["record"]["state"].strip() == state


def test_t9_the_state_of_a_meltano_file_is_unwrapped(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "resumes.py"}})
    (tmp_path / "state.json").write_text('{"singer_state": {"bookmarks": {"s": {"b": 1.10}}}}')
    result = flow("run", "tap-x", "--state", "state.json")
    assert result.messages[1]["record"]["state"] == '{"bookmarks": {"s": {"b": 1.10}}}'


def test_t9_a_tap_with_nothing_to_say_leaves_the_state_as_it_was(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "resumes.py", "config": {"silent": True}}})
    (tmp_path / "state.json").write_text('{"bookmarks":{"s":{"b":1.10}}}\n')
    plain = flow("run", "tap-x", "--state", "state.json", "--plain")
    assert plain.stdout == b'{"type":"STATE","value":{"bookmarks":{"s":{"b":1.10}}}}\n'
    marked = flow("run", "tap-x", "--state", "state.json")
    assert _marks(marked.lines) == ([0], [1])
    assert [one["value"] for one in marked.messages] == [{"bookmarks": {"s": {"b": 1.1}}}] * 2
    assert _trailer(marked)["end"] == "ok"


def test_t9_full_refresh_leaves_the_state_aside(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "resumes.py"}})
    (tmp_path / "state.json").write_text('{"bookmarks":{"s":{"b":1}}}')
    result = flow("run", "tap-x", "--state", "state.json", "--full-refresh")
    assert result.messages[1]["record"]["state"] is None


CATALOG_TAP = {"script": "selectable.py", "capabilities": ["catalog", "discover"]}


def _selection(catalog: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """`{stream: {column: selected}}`, the stream itself under ''."""
    return {
        stream["stream"]: {
            (entry["breadcrumb"] or ["", ""])[-1]: entry["metadata"].get("selected")
            for entry in stream["metadata"]
        }
        for stream in catalog["streams"]
    }


def test_t10_select_rules_become_selected_flags(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": CATALOG_TAP})
    result = flow("run", "tap-x", "--select", "db-issues.*", "--select", "!db-issues.body")
    assert result.code == 0, result.stderr
    seen = result.messages[1]["record"]
    assert seen["option"] == "--catalog"
    selection = _selection(seen["catalog"])
    assert selection["issues"][""] is True
    assert selection["issues"]["title"] is True
    assert selection["issues"]["body"] is False
    assert selection["users"][""] is False
    assert selection["events"][""] is False


def test_t10_select_of_the_project_is_replaced_by_that_of_the_command_line(
    tmp_path: Path, flow: Flow
) -> None:
    write_project(tmp_path, taps={"tap-x": {**CATALOG_TAP, "select": ["db-users.*"]}})
    chosen = _selection(flow("run", "tap-x").messages[1]["record"]["catalog"])
    assert [name for name, columns in chosen.items() if columns[""]] == ["users"]


def test_t10_legacy_taps_get_properties_with_selected_in_the_schema(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {**CATALOG_TAP, "capabilities": ["properties", "discover"]}})
    result = flow("run", "tap-x", "--select", "db-users.login")
    assert result.code == 0, result.stderr
    seen = result.messages[1]["record"]
    assert seen["option"] == "--properties"
    schemas = {one["stream"]: one["schema"] for one in seen["catalog"]["streams"]}
    assert schemas["users"]["selected"] is True
    assert schemas["users"]["properties"]["login"]["selected"] is True
    assert not schemas["issues"].get("selected")


def test_t10_a_rule_that_selects_nothing_names_the_streams(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": CATALOG_TAP})
    result = flow("run", "tap-x", "--select", "issue.*")
    assert (result.code, result.stdout) == (2, b"")
    assert "db-issues, db-users, db-events" in result.stderr


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            ["db-issues.*", "db-usres.*"],
            "--select 'db-usres.*': no stream is called so. Did you mean db-users",
        ),
        (
            ["db-issues.titel", "db-users.*"],
            "--select 'db-issues.titel': no property matches 'titel'. Did you mean db-issues.title?",
        ),
        (["!db-issues.boddy"], "--select '!db-issues.boddy': no property matches 'boddy'."),
        (["DB-ISSUES.*", "db-users.*"], "--select 'DB-ISSUES.*': no stream is called so."),
        (["db-issues.blob", "db-users.*"], "--select 'db-issues.blob': the tap cannot send it"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("words", [("tap-x",), ("tap-x", "out/")], ids=["tap", "pipeline"])
def test_t10_a_rule_that_was_typed_and_matches_nothing_stops_the_run(
    tmp_path: Path, flow: Flow, words: tuple[str, ...], rules: list[str], told: str
) -> None:
    write_project(tmp_path, taps={"tap-x": CATALOG_TAP})
    result = flow("run", *words, *(word for rule in rules for word in ("--select", rule)))
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: tap-x: {told}" in result.stderr
    assert "It has: db-issues, db-users, db-events." in result.stderr
    assert not (tmp_path / "out").exists()


def test_t10_a_rule_of_the_project_that_matches_nothing_is_a_warning(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {**CATALOG_TAP, "select": ["db-users.*", "db-isues.*"]}})
    result = flow("run", "tap-x")
    assert result.code == 0, result.stderr
    assert (
        "Warning: tap-x: select rule 'db-isues.*': no stream is called so. Did you mean db-issues?"
        in result.stderr
    )
    assert flow("run", "tap-x", "--select", "!db-users.login").code == 0


@pytest.mark.parametrize("given", ["--select", "--catalog"])
def test_t10_rules_for_a_tap_that_takes_no_catalog_are_refused(
    tmp_path: Path, flow: Flow, given: str
) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD)
    result = flow("run", "tap-x", given, "s")
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: {given} does nothing: tap-x takes no catalog." in result.stderr


def test_t10_rules_of_the_project_for_a_tap_that_takes_no_catalog_are_told(
    tmp_path: Path, flow: Flow
) -> None:
    said = {"script": "says.py", "config": {"stdout": SCHEMA + RECORD}}
    write_project(tmp_path, taps={"tap-x": {**said, "select": ["s.id"], "metadata": {"s": {"k": 1}}}})
    result = flow("run", "tap-x", "--refresh-catalog")
    assert result.code == 0, result.stderr
    assert "Warning: select, metadata of meltano.yml does nothing: tap-x takes no catalog." in result.stderr
    assert "Warning: --refresh-catalog does nothing: tap-x takes no catalog." in result.stderr


def test_t10_the_catalog_of_the_project_is_looked_for_in_its_folder(tmp_path: Path, flow: Flow) -> None:
    catalog = {"streams": [{"tap_stream_id": "own", "stream": "own", "selected": True, "schema": {}}]}
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    entry = {**CATALOG_TAP, "catalog": "catalog.json"}
    write_project(tmp_path, taps={"tap-x": entry})
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "catalog.json").write_text('{"streams": []}')
    result = flow("run", "tap-x", cwd=tmp_path / "deep")
    assert result.code == 0, result.stderr
    assert result.messages[1]["record"]["catalog"] == catalog
    refused = flow("run", "tap-x", "--select", "own.*")
    assert refused.code == 2
    assert "--select does nothing: meltano.yml gives tap-x a catalog" in refused.stderr
    write_project(tmp_path, taps={"tap-x": {**entry, "select": ["x.*"], "schema": {"x": {}}}})
    told = flow("run", "tap-x").stderr
    assert "tap-x: the catalog catalog.json is used as it is, without select, schema." in told


def test_t11_a_line_of_the_tap_is_seen_downstream_at_once(tmp_path: Path, command: Command) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    write_project(tmp_path, taps={"tap-x": {"script": "live.py", "config": {"fifo": str(fifo)}}})
    process = command.start("run", "tap-x")
    assert process.stdout is not None
    with os.fdopen(os.open(fifo, os.O_RDWR), "wb", buffering=0) as poke:  # O_RDWR: waits for nobody
        process.stdout.readline()
        for number in range(
            1, 10
        ):  # each line is sent when the one before has come: kept back, it never comes
            poke.write(b".")
            assert json.loads(process.stdout.readline())["record"]["n"] == number
    rest, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    assert json.loads(rest)["_flow"]["end"] == "ok"
