"""The command line itself: help, names, options, variables, and how it says no."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command import Command, Result
from projects import FIXTURES, write_project

import flow_singer

Flow = Callable[..., Result]

VERBS = ["init", "list", "load", "run", "state", "transform"]

SCHEMA = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORDS = "".join(f'{{"type":"RECORD","stream":"s","record":{{"id":{n}}}}}\n' for n in range(9))

SECRET = "hunter2-and-more"


def _count(result: Result) -> int:
    return sum(one["type"] == "RECORD" for one in result.messages)


@pytest.fixture
def nine_records(tmp_path: Path) -> Path:
    """A project whose tap-x writes nine records."""
    return write_project(
        tmp_path,
        taps={"tap-x": {"script": "says.py", "config": {"stdout": SCHEMA + RECORDS}}},
        default_environment="dev",
        environments=[{"name": "dev"}, {"name": "prod"}],
    )


# ------------------------------------------------------------------------------------------------ help


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_verbs_and_an_example(flow: Flow, option: str) -> None:
    result = flow(option)
    assert (result.code, result.stderr) == (0, "")
    text = result.stdout.decode()
    assert "flow run tap-demo | flow transform" in text
    for verb in VERBS:
        assert re.search(rf"^  {verb} +[A-Z]", text, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_in_one_line_what_it_does_and_has_an_example(flow: Flow, verb: str) -> None:
    result = flow(verb, "-h")
    assert (result.code, result.stderr) == (0, "")
    usage, first, *rest = [line.strip() for line in result.stdout.decode().splitlines() if line.strip()]
    assert usage.startswith(f"Usage: flow {verb}")
    assert first.endswith(".")
    assert len(first) < 60
    assert any(re.match(rf"flow .*\b{verb}\b", line) for line in rest)
    assert first in flow("--help").stdout.decode()


@pytest.mark.parametrize(
    "words",
    [
        ("--environment", "prod", "run", "tap-x"),
        ("run", "--environment", "prod", "tap-x"),
        ("run", "tap-x", "--environment", "prod"),
        ("--environment", "dev", "run", "tap-x", "--environment=prod"),
    ],
    ids=" ".join,
)
def test_a_general_option_holds_before_and_behind_the_verb(
    nine_records: Path, flow: Flow, words: tuple[str, ...]
) -> None:
    result = flow(*words)
    assert result.code == 0, result.stderr
    assert result.messages[0]["_flow"]["env"] == "prod"


def test_a_folder_behind_the_verb_is_gone_to(nine_records: Path, tmp_path: Path, command: Command) -> None:
    result = command.flow("run", "tap-x", "-C", nine_records, cwd=tmp_path.parent)
    assert (result.code, _count(result)) == (0, 9), result.stderr


def test_quiet_and_verbose_exclude_each_other(nine_records: Path, flow: Flow) -> None:
    result = flow("-q", "run", "tap-x", "-v")
    assert (result.code, result.stdout) == (2, b"")
    assert "--quiet and --verbose exclude each other." in result.stderr


def test_flow_alone_shows_its_help_and_is_a_usage_error(flow: Flow) -> None:
    result = flow()
    assert (result.code, result.stdout) == (2, b"")
    assert "Usage: flow" in result.stderr


def test_version(flow: Flow) -> None:
    result = flow("--version")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.decode() == f"flow, version {flow_singer.__version__}\n"


# ------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rnu", "tap-x"], "Error: No such command 'flow rnu'. Did you mean run? Commands: run, transform, "),
        (["run"], "Error: flow run needs TAP|PATH [FILE.py ...] [TARGET|DIR/] | JOB."),
        (["run", "tap-x", "--selct", "a"], "--select"),
        (["run", "tap-x", "--limit", "0"], "Invalid value for '--limit'"),
        (["run", "tap-y"], "Error: There is no tap 'tap-y'. Looked in"),
        (["run", "tap-y"], "Taps: tap-x, tap-datapackage, tap-demo. To have it installed"),
        (["load", "target-cvs"], "Did you mean 'target-csv'"),
        (["run", "tap-x", "t.py"], "Error: "),
        (["run", "t.py", "out/"], "Error: 't.py' is a file of functions, but"),
        (["run", "tap-x", "--config", "{bad"], "Error: --config is not JSON: "),
        (["run", "tap-x", "--config", "bad.json"], "Error: --config bad.json is not JSON: "),
        (["run", "tap-x", "--config", "[1]"], "Error: "),
        (["run", "tap-x", "--config", "none.json"], "Cannot read --config none.json: No such file"),
        (["run", "tap-x", "--state", "none.json"], "Cannot read --state none.json: No such file"),
        (["run", "tap-x", "--state", "bad.json"], "bad.json is no state"),
        (["run", "tap-x", "--to", "target-a", "--state-id", "b"], "--to and --state-id exclude each other"),
        (["--environment", "prd", "run", "tap-x"], "prod"),
        (["-C", "nowhere", "run", "tap-x"], "'nowhere' is no folder"),
        (["--log-level", "loud", "run", "tap-x"], "'loud' is not one of"),
        (["transform"], "Name at least one file"),
        (["transform", "none.py"], "No such file: none.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_on_stderr_without_a_traceback(
    nine_records: Path, flow: Flow, args: list[str], said: str
) -> None:
    (nine_records / "bad.json").write_text("{bad")
    result = flow(*args)
    assert (result.code, result.stdout) == (2, b"")
    assert said in result.stderr
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "content",
    ["plugins: [", "plugins:\n  extractors: tap-x\n", "- a list\n", "\x00"],
    ids=["no YAML", "a text for a list", "no mapping", "a null byte"],
)
def test_a_broken_meltano_yml_is_a_mistake_like_others(tmp_path: Path, flow: Flow, content: str) -> None:
    (tmp_path / "meltano.yml").write_text(content)
    result = flow("run", "tap-x")
    assert (result.code, result.stdout) == (2, b"")
    assert "meltano.yml" in result.stderr
    assert "Traceback" not in result.stderr


def test_debug_adds_the_traceback(nine_records: Path, flow: Flow) -> None:
    result = flow("--log-level", "debug", "run", "tap-y")
    assert result.code == 2
    assert "Traceback" in result.stderr
    assert "Error: There is no tap 'tap-y'." in result.stderr


def test_what_a_person_reads_is_on_stderr(nine_records: Path, flow: Flow) -> None:
    result = flow("run", "tap-x", "--plain")
    assert result.stdout.decode() == SCHEMA + RECORDS
    assert re.fullmatch(
        r"tap-x begins at the beginning\.\ntap-x: 9 records of 1 stream, .* in .* s \(.* records?/s\)\n",
        result.stderr,
    )


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(("run", "tap-x"), True), (("--help",), False), (("run",), True), (("-q", "run"), True)],
)
def test_lines_of_a_run_bear_the_time_where_stderr_is_no_terminal(
    nine_records: Path, flow: Flow, words: tuple[str, ...], wanted: bool
) -> None:
    lines = flow(*words).log.splitlines()
    assert bool(lines) is wanted
    for line in lines[:1]:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line)


def test_quiet_leaves_warnings_and_errors(nine_records: Path, flow: Flow) -> None:
    config = json.dumps({"stdout": SCHEMA + RECORDS, "stderr": "INFO chatter\nWARNING of the tap\n"})
    result = flow("-q", "run", "tap-x", "out/", "--config", config)
    assert (result.code, result.stdout, result.stderr) == (0, b"", "tap-x: WARNING of the tap\n")


def test_what_taps_say_is_kept_in_the_log_of_the_run(nine_records: Path, flow: Flow) -> None:
    config = json.dumps({"stdout": SCHEMA + RECORDS, "stderr": "INFO chatter\nWARNING of the tap\n"})
    assert flow("-q", "run", "tap-x", "out/", "--config", config).code == 0
    (log,) = (nine_records / ".meltano" / "logs" / "flow").iterdir()
    said = [line.partition(" ")[2] for line in log.read_text().splitlines()]
    assert said == ["tap-x: INFO chatter", "tap-x: WARNING of the tap"]
    assert (log.stat().st_mode & 0o777, log.name.split("-", 1)[1][:13]) == (0o600, "tap-x-to-out-")


def test_the_log_as_json_has_an_object_a_line(nine_records: Path, flow: Flow) -> None:
    config = json.dumps({"stdout": "noise\n" + SCHEMA + RECORDS})
    result = flow("--log-format", "json", "run", "tap-x", "--noise", "stderr", "--config", config)
    begin, noise, last = map(json.loads, result.stderr.splitlines())
    assert (begin["message"], begin["stage"]) == ("tap-x begins at the beginning.", "tap-x")
    assert (noise["level"], noise["message"]) == ("warning", "tap-x: noise")
    assert (last["records"], last["pipeline"]) == ({"s": 9}, "tap-x")
    assert last["message"].startswith("tap-x: 9 records of 1 stream")


def test_the_stages_of_a_pipe_log_the_run_that_they_share(nine_records: Path, command: Command) -> None:
    (nine_records / "t.py").write_text("def s(df):\n    return df\n")
    script = "flow run tap-x 2>run.log | flow transform t.py --reject bad.jsonl 2>transform.log | flow load out/ 2>load.log"
    config = json.dumps({"stdout": SCHEMA + RECORDS + '{"type":"RECORD","stream":"s","record":{"id":"x"}}\n'})
    env = {"FLOW_LOG_FORMAT": "json", "FLOW_RUN_CONFIG": config}
    assert command.shell(script, nine_records, env=env).code == 0
    lasts = {
        name: json.loads((nine_records / f"{name}.log").read_text().splitlines()[-1])
        for name in ("run", "transform", "load")
    }
    assert {last["stage"] for last in lasts.values()} == {"tap-x", "t.py", "out/"}
    assert len({last["run"] for last in lasts.values()}) == 1


def test_a_supervised_run_that_fails_logs_json_to_its_last_line(nine_records: Path, flow: Flow) -> None:
    (nine_records / "t.py").write_text("def s(df):\n    return df['no']\n")
    config = json.dumps({"stdout": SCHEMA + RECORDS, "stderr": "a word\n"})
    result = flow("--log-format", "json", "run", "tap-x", "t.py", "out/", "--config", config)
    assert result.code == 65
    entries = [json.loads(line) for line in result.stderr.splitlines()]
    assert [one["line"] for one in entries if one.get("plugin") == "tap-x"] == ["a word"]
    last = entries[-1]
    assert (last["level"], last["code"]) == ("error", 65)
    assert "KeyError: 'no'" in last["error"]
    assert last["hint"] == "Is the column selected, and spelt as in the SCHEMA? Its columns are: id."


# --------------------------------------------------------------------------------------------- options


def test_project_runs_as_if_in_that_folder(nine_records: Path, flow: Flow, tmp_path_factory) -> None:
    result = flow("-C", nine_records, "run", "tap-x", cwd=tmp_path_factory.mktemp("elsewhere"))
    assert result.code == 0, result.stderr
    assert _count(result) == 9


def test_a_project_is_found_from_a_folder_in_it(nine_records: Path, flow: Flow) -> None:
    (nine_records / "deep" / "down").mkdir(parents=True)
    assert _count(flow("run", "tap-x", cwd=nine_records / "deep" / "down")) == 9


def test_an_unknown_environment_names_those_there_are(nine_records: Path, flow: Flow) -> None:
    result = flow("--environment", "staging", "run", "tap-x")
    assert (result.code, result.stdout) == (2, b"")
    assert "'staging'" in result.stderr
    assert "dev" in result.stderr
    assert "prod" in result.stderr


def test_an_environment_needs_a_project(flow: Flow) -> None:
    result = flow("--environment", "dev", "run", "tap-x")
    assert result.code == 2
    assert "there is no meltano.yml in" in result.stderr


@pytest.mark.parametrize(
    ("variables", "records"),
    [
        ({"FLOW_RUN_LIMIT": "3"}, 3),
        ({"FLOW_PROJECT": "sub", "FLOW_RUN_LIMIT": "2"}, 2),
        ({"FLOW_ENVIRONMENT": "prod"}, 9),
        ({"FLOW_LOG_LEVEL": "error"}, 9),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("words", [(), ("t.py",)], ids=["run", "pipeline"])
def test_options_come_from_variables_too(
    tmp_path: Path, flow: Flow, variables: dict[str, str], records: int, words: tuple[str, ...]
) -> None:
    root = tmp_path / variables.get("FLOW_PROJECT", ".")
    root.mkdir(exist_ok=True)
    (root / "t.py").write_text("def s(df):\n    return df\n")
    write_project(
        root,
        taps={"tap-x": {"script": "says.py", "config": {"stdout": SCHEMA + RECORDS}}},
        environments=[{"name": "prod"}],
    )
    result = flow("run", "tap-x", *words, env=variables)
    assert result.code == 0, result.stderr
    assert _count(result) == records


def test_an_unknown_environment_in_a_variable_is_an_error(nine_records: Path, flow: Flow) -> None:
    assert flow("run", "tap-x", env={"FLOW_ENVIRONMENT": "staging"}).code == 2


def test_flow_state_id_names_the_bookmark(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path, taps={"tap-x": {"script": "resumes.py"}}, state_backend={"uri": f"file://{tmp_path}/state"}
    )
    for name in ("one", "two"):
        folder = tmp_path / "state" / f"dev:tap-x-to-{name}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(
            json.dumps({"completed": {"singer_state": {"bookmarks": {"s": name}}}})
        )
    result = flow("run", "tap-x", env={"FLOW_STATE_ID": "dev:tap-x-to-two"})
    assert result.code == 0, result.stderr
    assert json.loads(result.messages[1]["record"]["state"]) == {"bookmarks": {"s": "two"}}


def test_config_lies_over_the_settings_of_the_project(nine_records: Path, flow: Flow) -> None:
    config = nine_records / "config.json"
    config.write_text(json.dumps({"stdout": SCHEMA}))
    assert _count(flow("run", "tap-x", "--config", "config.json")) == 0
    assert _count(flow("run", "tap-x", "--config", config.read_text())) == 0


def test_plugins_see_nothing_of_flows_variables(tmp_path: Path, flow: Flow) -> None:
    teller = tmp_path / "tap-teller"
    teller.write_text(f"#!/bin/sh\nenv >&2\nprintf '%s' '{SCHEMA}'\n")
    teller.chmod(0o755)
    write_project(tmp_path, taps={"tap-teller": {"executable": "./tap-teller"}})
    result = flow("run", "tap-teller", env={"FLOW_LOG_LEVEL": "info"})
    assert "tap-teller: PATH=" in result.stderr
    assert "FLOW_" not in result.stderr


# ------------------------------------------------------------------------------- where a tap comes from


@pytest.fixture
def path_taps(command: Command, tmp_path_factory) -> dict[str, str]:
    """A PATH on which tap-demo and tap-mine write no record."""
    folder = tmp_path_factory.mktemp("path")
    for name in ("tap-demo", "tap-mine"):
        file = folder / name
        file.write_text(
            f"#!/bin/sh\nprintf '%s' '{SCHEMA.strip()}'\n# usage: --config\ncase $* in *--help*) echo --config;; esac\n"
        )
        file.chmod(0o755)
    return {"PATH": f"{folder}:{command.env['PATH']}"}


def _streams(result: Result) -> set[str]:
    return {one["stream"] for one in result.messages if one["type"] == "SCHEMA"}


def test_a_bundled_tap_comes_before_one_on_path(flow: Flow, path_taps: dict[str, str]) -> None:
    result = flow("run", "tap-demo", "--config", '{"records": 10}', env=path_taps)
    assert result.code == 0, result.stderr
    assert "issues" in _streams(result)


def test_a_tap_of_the_project_comes_before_a_bundled_one(tmp_path: Path, flow: Flow, path_taps) -> None:
    write_project(tmp_path, taps={"tap-demo": {"script": "says.py", "config": {"stdout": SCHEMA + RECORDS}}})
    result = flow("run", "tap-demo", env=path_taps)
    assert result.code == 0, result.stderr
    assert _count(result) == 9


def test_a_tap_on_path_is_found_last(flow: Flow, path_taps: dict[str, str]) -> None:
    result = flow("run", "tap-mine", env=path_taps)
    assert result.code == 0, result.stderr
    assert _streams(result) == {"s"}


def test_a_tap_on_path_is_found_though_the_project_does_not_name_it(
    nine_records: Path, flow: Flow, path_taps: dict[str, str]
) -> None:
    assert _streams(flow("run", "tap-mine", env=path_taps)) == {"s"}


def test_a_near_name_on_path_is_suggested(flow: Flow, path_taps: dict[str, str]) -> None:
    assert "'tap-mine'" in flow("run", "tap-mien", env=path_taps).stderr


# --------------------------------------------------------------------------------------------- secrets


def test_a_config_given_by_variable_shows_in_no_argument_list(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "waits.py"}})
    (command.cwd / "t.py").write_text("def s(df):\n    return df\n")
    variables = {"FLOW_RUN_CONFIG": json.dumps({"password": SECRET})}
    process = command.start("run", "tap-x", "t.py", env=variables, stdout=subprocess.DEVNULL)
    tree: list[psutil.Process] = []
    while process.poll() is None and str(FIXTURES / "taps" / "waits.py") not in [
        word for one in tree for word in _words(one)
    ]:
        tree = psutil.Process(process.pid).children(recursive=True)
    shown = [" ".join(_words(one)) for one in tree]
    process.terminate()
    _, stderr = process.communicate(timeout=90)
    assert len(tree) == 3
    assert not [words for words in shown if SECRET in words]
    assert SECRET.encode() not in stderr


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_secret_of_an_inline_config_is_masked(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "says.py"}})
    config = {"password": SECRET, "stdout": SCHEMA, "stderr": f"logging in with {SECRET}\n"}
    result = flow("run", "tap-x", "--config", json.dumps(config))
    assert result.code == 0, result.stderr
    assert "tap-x: logging in with ***" in result.stderr
    assert SECRET not in result.stderr
