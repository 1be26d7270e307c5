from __future__ import annotations

import copy
import decimal
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import redirect_stdout
from datetime import datetime
from decimal import Decimal

import pytest
from flow_tap_demo.generator import EPOCH, Cycle, Generator
from flow_tap_demo.streams import DEFINITIONS
from flow_tap_demo.tap import TapDemo
from jsonschema import Draft7Validator, Draft202012Validator
from singer_sdk.testing import SuiteConfig

from flow_singer.errors import ConfigError

from .sdksuite import sdk_suite

STREAMS = ["repositories", "users", "issues", "events"]
COMMAND = [sys.executable, "-m", "flow_tap_demo"]

# The SDK warns for half a year before a Python reaches its end of life: the date must not fail the tests.
pytestmark = pytest.mark.filterwarnings("ignore:Python 3.* end of life:FutureWarning")


SUITE = SuiteConfig(max_records_limit=400)
TestSdkSuite = sdk_suite(TapDemo, SUITE, records=400)
# The SDK's stream tests divide floats for multipleOf, where 0.07 fails; our own below are exact.
TestSdkSuiteHard = sdk_suite(TapDemo, SUITE, records=400, hard=True, include_stream_tests=False)


@pytest.fixture(autouse=True)
def _own_signal_handlers():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def sync(catalog=None, state=None, **config) -> bytes:
    """What the tap writes, in this process."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(output):
        TapDemo(config=config, catalog=catalog, state=state).sync_all()
    output.flush()
    return output.buffer.getvalue()


def messages(output: bytes) -> list[dict]:
    return [json.loads(line, parse_float=Decimal) for line in output.split(b"\n")[:-1]]


def records(output: bytes, stream: str) -> list[dict]:
    return [m["record"] for m in messages(output) if m["type"] == "RECORD" and m["stream"] == stream]


def states(output: bytes) -> list[dict]:
    return [m["value"] for m in messages(output) if m["type"] == "STATE"]


def catalog_of(*streams: str, deselect: tuple[tuple[str, ...], ...] = (), **entry) -> dict:
    """The discovered catalog with only these streams selected, less some properties by path."""
    catalog = copy.deepcopy(TapDemo(config={}).catalog_dict)
    breadcrumbs = [[part for name in path for part in ("properties", name)] for path in deselect]
    for stream in catalog["streams"]:
        if stream["stream"] in streams:
            stream.update(entry)
        for item in stream["metadata"]:
            if item["breadcrumb"] == []:
                item["metadata"]["selected"] = stream["stream"] in streams
            elif item["breadcrumb"] in breadcrumbs:
                item["metadata"]["selected"] = False
    return catalog


def run(*args: str, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *args], capture_output=True, timeout=60, check=False, **kwargs)


def config_file(tmp_path, **config) -> str:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    return str(path)


def test_equal_settings_give_equal_bytes():
    assert sync(records=300, hard=True) == sync(records=300, hard=True)


def test_another_seed_gives_other_values():
    assert records(sync(records=20), "issues") != records(sync(records=20, seed=2), "issues")


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.name)
def test_any_slice_is_that_part_of_the_whole(definition):
    generator = Generator(definition.name, definition.fields(1, False))
    day = generator.clock.slots
    whole = b"".join(generator.lines(0, 2 * day + 50)).split(b"\n")
    for start, stop in [(0, 1), (7, 7), (day - 1, day + 1), (5, 2 * day + 40), (2 * day, 2 * day + 50)]:
        assert b"".join(generator.lines(start, stop)).split(b"\n")[:-1] == whole[start:stop]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda d: d.name)
def test_cycles_have_prime_lengths_with_and_without_hard_values(definition):
    lengths = {
        hard: [len(field.values) for field in definition.fields(1, hard) if isinstance(field, Cycle)]
        for hard in (False, True)
    }
    assert lengths[False] == lengths[True]
    assert all(length % divisor for length in lengths[False] for divisor in range(2, length))


def test_records_far_out_cost_no_more_than_near_ones():
    (issues,) = [d for d in DEFINITIONS if d.name == "issues"]
    generator = Generator("issues", issues.fields(1, False))
    (line,) = generator.lines(9_999_999, 10_000_000)
    assert json.loads(line)["record"]["id"] == 3_009_999_999


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (10, {"repositories": 10, "users": 100, "issues": 10, "events": 20}),
        (12_345, {"repositories": 12, "users": 1234, "issues": 12_345, "events": 24_690}),
    ],
)
def test_streams_have_the_promised_number_of_records(setting, expected):
    counts = Counter(m["stream"] for m in messages(sync(records=setting)) if m["type"] == "RECORD")
    assert counts == expected


@pytest.mark.parametrize("validator", [Draft7Validator, Draft202012Validator])
@pytest.mark.parametrize("hard", [False, True], ids=["plain", "hard"])
def test_every_record_is_valid_by_its_schema(validator, hard):
    seen = Counter()
    schemas = {}
    # Exact decimals: jsonschema divides floats for multipleOf, and by default 28 digits are too few.
    with decimal.localcontext(decimal.Context(prec=60)):
        for message in messages(sync(records=1100, hard=hard)):
            if message["type"] == "SCHEMA":
                validator.check_schema(json.loads(json.dumps(message["schema"], default=float)))
                schemas[message["stream"]] = validator(message["schema"])
            elif message["type"] == "RECORD":
                schemas[message["stream"]].validate(message["record"])
                seen[message["stream"]] += 1
    assert set(seen) == set(STREAMS)


def test_plain_records_are_valid_for_readers_that_use_floats():
    (issues,) = [d for d in DEFINITIONS if d.name == "issues"]
    validator = Draft7Validator(issues.schema)
    for line in sync(catalog_of("issues"), records=1100).split(b"\n")[:-1]:
        message = json.loads(line)
        if message["type"] == "RECORD":
            validator.validate(message["record"])


@pytest.mark.parametrize("hard", [False, True], ids=["plain", "hard"])
def test_no_class_of_values_is_missing(hard):
    output = sync(records=1100, hard=hard)
    issues = records(output, "issues")
    text = output.decode()
    assert {issue["state"] for issue in issues} == {"open", "closed"}
    assert {issue["locked"] for issue in issues} == {True, False}
    assert any("milestone" not in issue for issue in issues)
    assert any(issue.get("milestone", 0) is None for issue in issues)
    assert any(issue.get("milestone") for issue in issues)
    assert {0, 1, 2} <= {len(issue["labels"]) for issue in issues}
    assert any(issue["fingerprint"] is None for issue in issues)
    assert any(issue["fingerprint"] and issue["fingerprint"] > 2**53 for issue in issues)
    assert re.search(r'"reward":\d+\.\d0,', text), "decimals keep their last zero"
    assert any(isinstance(record["monthly_cost"], str) for record in records(output, "repositories"))
    assert {None, str} == {type(u["hired_on"]) if u["hired_on"] else None for u in records(output, "users")}
    created = " ".join(issue["created_at"] for issue in issues)
    assert re.search(r"\d\.\d{6}[Z+-]", created)
    assert {"Z", "+02:00", "-03:30", "+05:45"} <= {
        re.sub(r".*:\d\d(\.\d+)?(?=Z|[+-])", "", t) for t in created.split()
    }
    bodies = "".join(issue["body"] or "" for issue in issues)
    assert set('"\\\n\té') <= set(bodies)
    assert {0, 1, 2} <= {ord(character) >> 16 for character in bodies}
    assert "\\u00e9" in text, "some text has escapes"
    assert "é" in text, "some text has UTF-8"
    shapes = {
        tuple(event["payload"]) for event in records(output, "events") if event.get("payload") is not None
    }
    assert len(shapes) >= 4
    assert any("payload" not in event for event in records(output, "events"))


def test_hard_mode_has_the_values_that_break_readers():
    output = sync(records=100, hard=True)
    issues = records(output, "issues")
    fingerprints = {issue["fingerprint"] for issue in issues}
    assert {2**53 + 1, 2**63, 2**64, 2**70 + 1, -(2**63) - 1} <= fingerprints
    assert b'"reward":1.10,' in output
    assert b'"reward":' + b"9" * 34 + b".99," in output
    assert {"0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"} <= {
        issue["created_at"] for issue in issues
    }
    titles = {issue["title"] for issue in issues}
    assert {"", "null", "007", "lone\rreturn", "%d %s {} ${HOME}"} <= titles
    assert max(len(issue["body"] or "") for issue in issues) > 131_072
    assert {15, 16} <= {ord(c) >> 16 for title in titles for c in title}
    assert any("" in (event["payload"] or ()) for event in records(output, "events") if "payload" in event)


def test_every_name_of_another_stream_is_found_there():
    output = sync(records=1100)
    users = {user["id"]: user for user in records(output, "users")}
    repositories = {repository["id"] for repository in records(output, "repositories")}
    for issue in records(output, "issues"):
        author = users[issue["user"]["id"]]
        assert issue["user"] == {key: author[key] for key in ("id", "login", "site_admin")}
        assert issue["repository_id"] in repositories
    for event in records(output, "events"):
        assert event["actor"]["login"] == users[event["actor"]["id"]]["login"]
        assert event["repository_id"] in repositories


@pytest.mark.parametrize("stream", STREAMS)
def test_updated_at_never_falls_and_is_sometimes_equal(stream):
    times = [record["updated_at"] for record in records(sync(records=9000), stream)]
    assert times == sorted(times)
    assert times == sorted(times, key=datetime.fromisoformat)
    assert times[0].startswith(EPOCH.isoformat())
    assert len(set(times)) < len(times)


def test_a_source_that_grew_sends_what_is_new_and_the_bookmarks_own():
    # Issues 996 and 997 have the same updated_at.
    first = sync(catalog_of("issues"), records=998)
    state = states(first)[-1]
    assert state == {
        "bookmarks": {
            "issues": {
                "replication_key": "updated_at",
                "replication_key_value": records(first, "issues")[-1]["updated_at"],
            }
        }
    }
    second = records(sync(catalog_of("issues"), state, records=1098), "issues")
    whole = records(sync(catalog_of("issues"), records=1098), "issues")
    assert records(first, "issues") == whole[:998]
    assert second == whole[996:]


def test_nothing_new_sends_the_bookmarks_own_and_keeps_the_bookmark():
    state = states(sync(records=100))[-1]
    output = sync(state=copy.deepcopy(state), records=100)
    assert len(records(output, "issues")) == 1
    assert states(output)[-1] == state


def test_a_bookmark_past_the_end_sends_nothing_and_is_kept():
    state = {
        "bookmarks": {
            "issues": {"replication_key": "updated_at", "replication_key_value": "2099-01-01T00:00:00Z"}
        }
    }
    output = sync(catalog_of("issues"), copy.deepcopy(state), records=100)
    assert records(output, "issues") == []
    assert states(output)[-1] == state


def test_states_come_every_ten_thousand_records_and_a_run_resumes_from_each():
    output = sync(catalog_of("issues"), records=25_000)
    kinds = [message["type"] for message in messages(output)]
    positions = [index - 1 for index, kind in enumerate(kinds) if kind == "STATE"]
    assert positions == [10_000, 20_001, 25_002]
    resumed = records(sync(catalog_of("issues"), states(output)[0], records=25_000), "issues")
    whole = records(output, "issues")
    bookmark = whole[9_999]["updated_at"]
    assert resumed == [issue for issue in whole if issue["updated_at"] >= bookmark]


def test_start_date_counts_where_there_is_no_later_bookmark():
    output = sync(records=1000, start_date="2020-01-01T06:00:00+02:00")
    times = [record["updated_at"] for record in records(output, "issues")]
    assert times[0][:16] == "2020-01-01T04:00"
    assert len(times) == 1000 - 4 * 180
    assert len(records(output, "repositories")) == 10


def test_full_table_in_the_catalog_ignores_the_bookmark():
    state = states(sync(records=100))[-1]
    catalog = catalog_of("issues", replication_method="FULL_TABLE")
    assert len(records(sync(catalog, state, records=100), "issues")) == 100


def test_another_replication_key_is_refused():
    with pytest.raises(ConfigError, match="'issues' cannot be read by INCREMENTAL with replication key 'id'"):
        sync(catalog_of("issues", replication_method="INCREMENTAL", replication_key="id"), records=10)


def test_versions_are_sent_where_they_are_asked_for():
    output = messages(sync(catalog_of("repositories"), records=10, emit_activate_version_messages=True))
    (version,) = [m["version"] for m in output if m["type"] == "ACTIVATE_VERSION"]
    assert {m["version"] for m in output if m["type"] == "RECORD"} == {version}


def test_only_selected_streams_are_sent():
    assert {m["stream"] for m in messages(sync(catalog_of("users"), records=10)) if "stream" in m} == {
        "users"
    }


def test_deselected_properties_are_neither_in_the_schema_nor_in_the_records():
    catalog = catalog_of("issues", deselect=(("body",), ("updated_at",), ("user", "login"), ("id",)))
    output = sync(catalog, records=300, hard=True)
    expected = records(sync(records=300, hard=True), "issues")
    for issue in expected:
        # updated_at and id stay: their inclusion is automatic.
        issue.pop("body")
        del issue["user"]["login"]
    assert records(output, "issues") == expected
    (schema,) = [m["schema"] for m in messages(output) if m["type"] == "SCHEMA"]
    assert "body" not in schema["properties"]
    assert "login" not in schema["properties"]["user"]["properties"]
    assert set(schema["properties"]) >= set().union(*expected)
    assert states(output)[-1]["bookmarks"]["issues"]["replication_key_value"]


def test_stream_maps_get_the_same_records():
    maps = {"issues": {"body": None, "shout": "title.upper()"}}
    output = sync(catalog_of("issues"), records=300, stream_maps=maps)
    expected = records(sync(records=300), "issues")
    for issue in expected:
        del issue["body"]
        issue["shout"] = issue["title"].upper()
    assert records(output, "issues") == expected


def test_discover_lists_the_streams_and_test_sends_one_record_of_each(tmp_path):
    catalog = json.loads(run("--discover").stdout)
    assert {s["stream"]: s["replication_method"] for s in catalog["streams"]} == {
        "repositories": "FULL_TABLE",
        "users": "INCREMENTAL",
        "issues": "INCREMENTAL",
        "events": "INCREMENTAL",
    }
    output = run("--test", "--config", config_file(tmp_path, records=100))
    assert output.returncode == 0
    counts = Counter(m["stream"] for m in messages(output.stdout) if m["type"] == "RECORD")
    assert counts == dict.fromkeys(STREAMS, 1)


def test_about_names_every_setting():
    about = json.loads(run("--about", "--format", "json").stdout)
    assert {"records", "seed", "start_date", "hard"} <= set(about["settings"]["properties"])


def test_catalog_and_state_files_are_used(tmp_path):
    catalog, state = tmp_path / "catalog.json", tmp_path / "state.json"
    catalog.write_text(json.dumps(catalog_of("issues")))
    state.write_text(json.dumps(states(sync(records=100))[-1]))
    args = ["--config", config_file(tmp_path, records=110), "--catalog", str(catalog), "--state", str(state)]
    assert [issue["id"] for issue in records(run(*args).stdout, "issues")] == list(
        range(3_000_000_099, 3_000_000_110)
    )


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ({"records": 0}, 1, "0 is less than the minimum of 1"),
        ({"records": "many"}, 1, "'many' is not of type 'integer'"),
        ({"start_date": "yesterday"}, 2, "cannot start at 'yesterday', which is not a date-time"),
    ],
)
def test_a_wrong_setting_ends_with_one_message(tmp_path, config, code, message):
    result = run("--config", config_file(tmp_path, **config))
    assert result.returncode == code
    assert message in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_a_config_file_that_is_not_there_is_named():
    result = run("--config", "nowhere.json")
    assert result.returncode == 2
    assert result.stderr.decode().splitlines()[-1] == "tap-demo: File at 'nowhere.json' was not found."


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_ends_with_one_message(tmp_path):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [*COMMAND, "--config", config_file(tmp_path, records=10)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert result.returncode not in {0, 2}
    assert "tap-demo: [Errno 28] No space left on device" in result.stderr.decode()
    assert "Traceback" not in result.stderr.decode()


def test_a_reader_that_leaves_ends_the_tap_quietly(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "--config", config_file(tmp_path, records=10_000_000)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as tap:
        tap.stdout.read(100_000)
        tap.stdout.close()
        errors = tap.stderr.read().decode()
        assert tap.wait(timeout=60) == -signal.SIGPIPE
    assert "Traceback" not in errors


def test_no_stdout_at_all_is_said_in_one_line(tmp_path):
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "--config", config_file(tmp_path, records=10)],
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1
    assert result.stderr == b"tap-demo: standard output is closed, there is nowhere to write messages to.\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_sigterm_ends_with_whole_lines_and_a_state_that_its_records_cover(tmp_path, unbuffered):
    with subprocess.Popen(
        [*COMMAND, "--config", config_file(tmp_path, records=10_000_000)],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as tap:
        head = tap.stdout.read(10_000_000)
        tap.send_signal(signal.SIGTERM)
        output = head + tap.stdout.read()
        assert tap.wait(timeout=60) == 0
    assert output.endswith(b"}\n")
    received = messages(output)
    last = received[-1]
    assert last["type"] == "STATE"
    written = [m["record"]["updated_at"] for m in received if m["type"] == "RECORD"]
    assert last["value"]["bookmarks"]["events"]["replication_key_value"] == written[-1]


def test_a_signal_during_a_write_waits_for_the_end_of_the_lines():
    tap = TapDemo(config={"records": 10})
    steps = []

    def write():
        with tap.uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("written")

    with redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as ended:
        write()
    assert steps == ["written"]
    assert ended.value.code == 0
