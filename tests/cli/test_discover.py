"""`flow discover`: the streams of a tap, as it says them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from command import Command, Result
from projects import write_project

from flow_singer.stages import keptcatalog

Flow = Callable[..., Result]

ABLE = ["catalog", "discover"]
BIG = 12345678901234567890123
CATALOG = (
    '{"streams":[ {"tap_stream_id":"a.b","key_properties":["id","at"],\n'
    f'"replication_key":"at","schema":{{"properties":{{"id":{{"maximum":{BIG}}},"at":{{"minimum":1.10}}}}}}}},'
    '{"tap_stream_id":"c"}]}'
)


def says(folder: Path, catalog: str, *, code: int = 0, said: str = "") -> str:
    """Make a tap that answers discovery with a text, and return its path."""
    (folder / "catalog.txt").write_text(catalog)
    tap = folder / "tap-says"
    tap.write_text(f"#!/bin/sh\necho '{said}' >&2\ncat '{folder}/catalog.txt'\nexit {code}\n")
    tap.chmod(0o755)
    return "./tap-says"


def test_the_streams_of_a_tap_are_a_table(flow: Flow) -> None:
    result = flow("discover", "tap-demo")
    assert (result.code, result.stderr) == (0, "tap-demo: discovering its streams.\n")
    assert (
        result.stdout.decode()
        == """\
STREAM        KEYS    REPLICATION                FIELDS
events        id      INCREMENTAL by updated_at  7
issues        id      INCREMENTAL by updated_at  14
repositories  id      FULL_TABLE                 12
users         id      INCREMENTAL by updated_at  10
"""
    )


def test_a_catalog_that_is_kept_is_used_and_its_age_told(flow: Flow) -> None:
    first = flow("discover", "tap-demo")
    again = flow("discover", "tap-demo")
    assert again.stdout == first.stdout
    assert again.stderr.startswith("tap-demo: catalog of ")
    assert again.stderr.endswith(" ago (--refresh-catalog discovers anew).\n")
    assert flow("discover", "tap-demo", "--refresh-catalog").stderr == first.stderr
    assert "catalog of" in flow("run", "tap-demo", "--limit", "1").stderr, "a run takes the same"


@pytest.mark.parametrize(
    ("age_s", "told"),
    [
        (0.4, "0 seconds"),
        (1.2, "1 second"),
        (119, "119 seconds"),
        (121, "2 minutes"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (50 * 3600, "2 days"),
    ],
)
def test_an_age_reads_as_a_person_says_it(age_s: float, told: str) -> None:
    assert keptcatalog._age(age_s) == told


def test_json_is_the_catalog_byte_for_byte(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"executable": says(tmp_path, CATALOG), "capabilities": ABLE}})
    result = flow("discover", "tap-x", "--json")
    assert (result.code, result.stdout.decode()) == (0, f"{CATALOG}\n")
    assert flow("discover", "tap-x").stdout.decode().splitlines()[1:] == [
        "a.b       id, at  INCREMENTAL by at  2",
        "c                                    0",
    ]


def test_json_is_fit_for_a_run(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "catalog.json").write_bytes(flow("discover", "tap-demo", "--json").stdout)
    catalog = json.loads((tmp_path / "catalog.json").read_text())
    catalog["streams"] = [one for one in catalog["streams"] if one["tap_stream_id"] == "users"]
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    result = flow("run", "tap-demo", "--catalog", "catalog.json", "--limit", "1")
    assert result.code == 0
    assert {one["stream"] for one in result.messages if one["type"] == "RECORD"} == {"users"}


def test_it_takes_the_settings_of_a_run(tmp_path: Path, flow: Flow) -> None:
    tap = tmp_path / "tap-x"
    tap.write_text(
        "#!/usr/bin/env python3\nimport json, sys\n"
        "config = json.load(open(sys.argv[sys.argv.index('--config') + 1]))\n"
        "print(json.dumps({'streams': [{'tap_stream_id': config['name']}]}))\n"
    )
    tap.chmod(0o755)
    entry = {"executable": "./tap-x", "capabilities": ABLE, "config": {"name": "of-the-file"}}
    write_project(tmp_path, taps={"tap-x": {**entry, "settings": [{"name": "name"}]}})
    assert b"of-the-file" in flow("discover", "tap-x").stdout
    assert b"of-the-shell" in flow("discover", "tap-x", env={"TAP_X_NAME": "of-the-shell"}).stdout
    assert b"typed" in flow("discover", "tap-x", "--config", '{"name": "typed"}').stdout


def test_without_a_project_a_tap_on_path_is_discovered(tmp_path: Path, command: Command, flow: Flow) -> None:
    says(tmp_path, CATALOG)
    tap = tmp_path / "tap-says"
    tap.write_text(tap.read_text().replace("#!/bin/sh\n", '#!/bin/sh\n[ "$1" = --about ] && exit 1\n'))
    help_text = "usage: --config --discover --catalog"
    tap.write_text(
        tap.read_text().replace("echo", f'[ "$1" = --help ] && echo "{help_text}" && exit 0\necho', 1)
    )
    result = flow("discover", "tap-says", env={"PATH": f"{tmp_path}:{command.env['PATH']}"})
    assert (result.code, result.stdout.splitlines()[-1].split()) == (0, [b"c", b"0"])


def test_a_tap_that_cannot_discover_says_what_to_do(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "says.py"}})
    result = flow("discover", "tap-x")
    assert (result.code, result.stdout) == (2, b"")
    assert result.stderr == (
        "Error: tap-x cannot discover its catalog: it has no --discover.\n"
        "If it has, list its capabilities in meltano.yml: [catalog, discover, state]. If not, write the catalog by "
        "hand: flow run tap-x --catalog FILE\n"
    )


def test_a_discovery_that_fails_is_the_tap_s_failure_and_masked(tmp_path: Path, flow: Flow) -> None:
    entry = {
        "executable": says(tmp_path, "", code=3, said="no such token: s3cret-value"),
        "capabilities": ABLE,
        "config": {"auth_token": "s3cret-value"},
    }
    write_project(tmp_path, taps={"tap-x": entry})
    result = flow("discover", "tap-x")
    assert (result.code, result.stdout) == (69, b"")
    assert "Error: tap-x exited with code 3 during discovery." in result.stderr
    assert "s3cret" not in result.stderr
    assert "no such token: ***" in result.stderr


@pytest.mark.parametrize(
    "args", [["discover", "tap-x"], ["select", "tap-x"], ["select", "tap-x", "issues"]], ids=" ".join
)
def test_it_ends_at_once_where_it_is_stopped_and_leaves_nothing(
    tmp_path: Path, command: Command, args: list[str]
) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "hangs_in_discovery.py", "capabilities": ABLE}})
    before = (tmp_path / "meltano.yml").read_bytes()
    process = command.start(*args)
    here = psutil.Process(process.pid)
    while not any("hangs" in " ".join(child.cmdline()) for child in here.children()):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said.decode().splitlines()[-1]) == (130, "Stopped.")
    assert (tmp_path / "meltano.yml").read_bytes() == before
    run = tmp_path / ".meltano" / "run"
    assert [one.name for one in run.iterdir() if one.name.startswith("flow-run-")] == []


def test_a_target_is_refused(flow: Flow) -> None:
    result = flow("discover", "target-csv")
    assert result.code == 2
    assert "'target-csv' is a target, but it stands where a tap belongs." in result.stderr
