"""`flow check`: all that is wrong with a project, line by line, without running it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Result

Flow = Callable[..., Result]

PROJECT = """\
version: 1
default_environment: dev
plugins:
  extractors:
    - name: tap-demo
      config:
        records: many
        sede: 3
        start_date: $NOPE
      selct: [a]
    - name: tap-new
      pip_url: tap-new
      settings_group_validation: [[token, user], [key]]
      config:
        user: me
    - name: tap-lost
  loaders:
    - name: target-csv
jobs:
  - name: nightly
    tasks: [tap-demo t.py target-csv, tap-demo u.py out/]
  - name: bad
    tasks: target-csv tap-demo
schedules:
  - name: s
    job: nigthly
    interval: "@daily"
environments:
  - name: dev
    config:
      plugins:
        extractors:
          - name: tap-demo
            config:
              seed: x
  - name: prod
"""
FINDINGS = """\
meltano.yml:5: error: Setting 'records' of tap-demo is 'many' (meltano.yml), not an integer. Give it an integer.
meltano.yml:5: error: Setting 'seed' of tap-demo is 'x' (environment 'dev' in meltano.yml), not an integer. Give it an integer.
meltano.yml:8: warning: tap-demo declares no setting 'sede' (meltano.yml, line 8); it is passed on as it is. Did you mean seed?
meltano.yml:9: warning: $NOPE is not set, and 'start_date' of tap-demo names it.
meltano.yml:10: warning: unknown key 'selct' of tap-demo; it has no effect. Did you mean select?
meltano.yml:11: error: tap-new needs the setting 'token'. Set it: flow config set tap-new token VALUE
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a mistake of each kind."""
    (tmp_path / "meltano.yml").write_text(PROJECT)
    (tmp_path / "t.py").write_text("\ndef f(:\n")
    return tmp_path


def test_every_mistake_has_a_line(project: Path, flow: Flow) -> None:
    result = flow("check")
    assert result.code == 2
    lines = result.stdout.decode().splitlines(keepends=True)
    assert "".join(lines[:6]) == FINDINGS
    assert [line.split(" ")[0] for line in lines[6:]] == [
        "meltano.yml:16:",  # tap-lost
        "meltano.yml:21:",  # u.py
        "meltano.yml:23:",  # the order
        "meltano.yml:26:",  # the schedule
        "t.py:2:",
    ]
    assert lines[7] == (
        "meltano.yml:21: error: No such file: u.py. It stands in the tasks of the job 'nightly'. Did you mean t.py?\n"
    )
    assert (
        lines[9]
        == "meltano.yml:26: error: schedule 's': there is no job 'nigthly'. Did you mean 'nightly'?\n"
    )
    assert result.stderr == "8 errors, 3 warnings in 4 plugins, 2 jobs, 2 environments.\n"


def test_json_has_the_same_findings(project: Path, flow: Flow) -> None:
    result = flow("check", "--json")
    findings = json.loads(result.stdout)
    assert (result.code, len(findings)) == (2, 11)
    assert findings[0] == {
        "file": "meltano.yml",
        "line": 5,
        "severity": "error",
        "message": "Setting 'records' of tap-demo is 'many' (meltano.yml), not an integer.",
        "hint": "Give it an integer.",
    }


def test_a_job_or_a_plugin_may_be_looked_at_alone(project: Path, flow: Flow) -> None:
    result = flow("check", "tap-new")
    assert [line.split(" ")[0] for line in result.stdout.decode().splitlines()] == [
        "meltano.yml:10:",  # the file is looked at in any case
        "meltano.yml:11:",
    ]
    assert result.stderr == "1 error, 1 warning in 1 plugin, 0 jobs, 2 environments.\n"
    result = flow("check", "nihtly")
    assert (result.code, result.stderr) == (
        2,
        "Error: meltano.yml has no plugin or job 'nihtly'.\nDid you mean 'nightly'?\n",
    )


def test_an_environment_may_be_looked_at_alone(project: Path, flow: Flow) -> None:
    result = flow("--environment", "prod", "check")
    assert b"'seed'" not in result.stdout
    assert result.stderr.endswith("1 environment.\n")


def test_warnings_alone_are_no_failure(project: Path, flow: Flow) -> None:
    (project / "meltano.yml").write_text("plugins:\n  extractors:\n    - name: tap-demo\n      selct: [a]\n")
    result = flow("check")
    assert (result.code, result.stderr) == (0, "0 errors, 1 warning in 1 plugin, 0 jobs, 0 environments.\n")


def test_a_good_project_is_told_to_be_one(project: Path, flow: Flow) -> None:
    (project / "meltano.yml").write_text("plugins:\n  extractors:\n    - name: tap-demo\n")
    result = flow("check")
    assert (result.code, result.stdout) == (0, b"")
    assert result.stderr == "Nothing is wrong: 1 plugin, 0 jobs, 0 environments.\n"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("plugins: [", "meltano.yml:1: error: "),
        ("plugin: {}\n", "meltano.yml:1: error: unknown key 'plugin'. Did you mean plugins?\n"),
        (
            "plugins:\n  extractors: x\n",
            "meltano.yml:2: error: 'extractors' is text. Expected a list of mappings with a name, each behind a dash (- name: ...).\n",
        ),
        (
            "jobs:\n- name: a\n  tasks: 5\n",
            "meltano.yml:3: error: 'tasks' is a number. Expected text, or a list of texts.\n",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding(project: Path, flow: Flow, text: str, finding: str) -> None:
    (project / "meltano.yml").write_text(text)
    result = flow("check")
    assert result.code == 2
    assert result.stdout.decode().startswith(finding)


def test_nothing_is_started_or_installed(project: Path, flow: Flow) -> None:
    flow("check")
    assert not (project / ".meltano").exists()


def test_without_a_project_there_is_nothing_to_check(flow: Flow) -> None:
    result = flow("check")
    assert result.code == 2
    assert result.stderr.endswith("or above.\nMake a project with: flow init\n")


def test_a_new_project_is_a_good_one(tmp_path: Path, flow: Flow) -> None:
    assert flow("init", "new").code == 0
    result = flow("-C", "new", "check")
    assert (result.code, result.stdout) == (0, b"")


RULES = """\
plugins:
  extractors:
    - name: tap-demo
      select:
        - issues.*
        - isues.id
        - "!issues.titel"
environments:
  - name: prod
    config:
      plugins:
        extractors:
          - name: tap-demo
            select: ["nothing.*"]
"""


def test_rules_are_looked_at_where_a_catalog_is_kept(project: Path, flow: Flow) -> None:
    (project / "meltano.yml").write_text(RULES)
    assert flow("check").code == 0
    assert flow("discover", "tap-demo").code == 0
    result = flow("check")
    assert result.code == 2
    assert (
        result.stdout.decode()
        == """\
meltano.yml:6: warning: tap-demo: select rule 'isues.id': no stream is called so. Did you mean issues?
meltano.yml:7: warning: tap-demo: select rule '!issues.titel': no property matches 'titel'. Did you mean issues.title or issues.state?
meltano.yml:14: warning: tap-demo: select rule 'nothing.*': no stream is called so.
meltano.yml:14: error: tap-demo: no stream is selected. Its streams: flow discover tap-demo
"""
    )


def test_a_rule_of_a_variable_is_told_at_its_tap(project: Path, flow: Flow) -> None:
    (project / "meltano.yml").write_text("plugins:\n  extractors:\n    - name: tap-demo\n")
    assert flow("discover", "tap-demo").code == 0
    result = flow("check", env={"TAP_DEMO__SELECT": '["users", "isues"]'})
    assert result.stdout.decode() == (
        "meltano.yml:3: warning: tap-demo: select rule 'isues': no stream is called so. Did you mean issues?\n"
    )
