"""`flow config`: what a plugin gets, from where; and how that is changed."""

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
        records: 300   # few
    - name: tap-x
      executable: ./tap-x
      settings:
        - name: token
        - name: start_date
          kind: date_iso8601
        - name: pages
          kind: integer
          value: 5
        - name: hidden
          sensitive: true
        - name: wide
          kind: object
      config:
        names: [a/b]
        token: $THE_TOKEN
        url: postgres://u:hunter22@h/x
environments:
  - name: dev
    config:
      plugins:
        extractors:
          - name: tap-x
            config:
              pages: 3
  - name: prod
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with settings in every layer."""
    (tmp_path / "meltano.yml").write_text(PROJECT)
    (tmp_path / ".env").write_text("TAP_X_START_DATE=2026-01-01\n# mine\nTHE_TOKEN=abcdefgh99\n")
    (tmp_path / "tap-x").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "tap-x").chmod(0o755)
    return tmp_path


def test_each_setting_has_its_value_and_its_layer(project: Path, flow: Flow) -> None:
    result = flow("config", "tap-x", env={"TAP_X_HIDDEN": "s3cret-value"})
    assert (result.code, result.stderr) == (0, "")
    assert (
        result.stdout.decode()
        == """\
SETTING     VALUE                 FROM
token       ***                   meltano.yml
start_date  2026-01-01            TAP_X_START_DATE in .env
pages       3                     environment 'dev' in meltano.yml
hidden      ***                   environment variable TAP_X_HIDDEN
wide                              not set
names       ["a/b"]               meltano.yml
url         postgres://u:***@h/x  meltano.yml
"""
    )


@pytest.mark.parametrize("args", [["tap-x"], ["list", "tap-x"], ["tap-x", "list"]], ids=" ".join)
def test_the_plugin_may_stand_before_the_verb_or_behind_it(
    project: Path, flow: Flow, args: list[str]
) -> None:
    assert flow("config", *args).stdout == flow("config", "tap-x").stdout != b""


def test_json_tells_the_same(project: Path, flow: Flow) -> None:
    answer = json.loads(flow("config", "tap-x", "--json").stdout)
    assert (answer["plugin"], answer["environment"]) == ("tap-x", "dev")
    pages = next(one for one in answer["settings"] if one["name"] == "pages")
    assert pages == {
        "name": "pages",
        "value": 3,
        "source": "environment 'dev' in meltano.yml",
        "kind": "integer",
        "secret": False,
        "variable": "TAP_X_PAGES",
    }


def test_print_is_the_config_as_the_plugin_gets_it(project: Path, flow: Flow) -> None:
    result = flow("config", "print", "tap-x", "--unsafe")
    assert json.loads(result.stdout) == {
        "names": ["a/b"],
        "token": "abcdefgh99",
        "url": "postgres://u:hunter22@h/x",
        "start_date": "2026-01-01",
        "pages": 3,
    }
    masked = json.loads(flow("config", "print", "tap-x").stdout)
    assert (masked["token"], masked["url"]) == ("***", "postgres://u:***@h/x")
    lines = flow("config", "print", "tap-x", "--format", "env").stdout.decode().splitlines()
    assert "TAP_X_NAMES='[\"a/b\"]'" in lines


def test_extras_are_shown_apart(project: Path, flow: Flow) -> None:
    lines = flow("config", "tap-x", "--extras").stdout.decode().splitlines()
    assert '_select              ["*.*"]  default' in lines
    assert not any(line.startswith("token") for line in lines)


# ------------------------------------------------------------------------------------------------- change


def edited(project: Path) -> tuple[list[str], list[str]]:
    """The lines of meltano.yml that went, and those that came."""
    before, after = PROJECT.splitlines(), (project / "meltano.yml").read_text().splitlines()
    return [one for one in before if one not in after], [one for one in after if one not in before]


def test_a_setting_is_written_into_the_plugin_s_entry(project: Path, flow: Flow) -> None:
    result = flow("config", "set", "tap-demo", "records", "5")
    assert (result.code, result.stderr) == (0, "tap-demo: records is 5 in meltano.yml, line 7.\n")
    assert edited(project) == (["        records: 300   # few"], ["        records: 5   # few"])


def test_a_secret_is_written_into_dotenv_and_is_not_shown(project: Path, flow: Flow) -> None:
    (project / ".env").unlink()
    result = flow("config", "set", "tap-x", "hidden", "it's $HOME \\ s3cret")
    assert (result.code, result.stderr) == (0, "tap-x: hidden is *** in .env (TAP_X_HIDDEN).\n")
    assert (project / ".env").stat().st_mode & 0o777 == 0o600
    printed = json.loads(flow("config", "print", "tap-x", "--unsafe").stdout)
    assert printed["hidden"] == "it's $HOME \\ s3cret"
    assert edited(project) == ([], [])


def test_a_secret_need_not_be_typed(project: Path, flow: Flow) -> None:
    assert flow("config", "set", "tap-x", "token", "--from-file", "-", stdin=b"from stdin\n").code == 0
    assert json.loads(flow("config", "print", "tap-x", "--unsafe").stdout)["token"] == "from stdin"
    assert "# mine\n" in (project / ".env").read_text()


def test_an_environment_that_was_named_gets_the_setting(project: Path, flow: Flow) -> None:
    result = flow("--environment", "prod", "config", "set", "tap-x", "pages", "9")
    assert result.code == 0
    assert edited(project)[0] == []
    assert (
        flow("config", "print", "tap-x").stdout
        != flow("--environment", "prod", "config", "print", "tap-x").stdout
    )
    assert json.loads(flow("--environment", "prod", "config", "print", "tap-x").stdout)["pages"] == 9


def test_a_layer_that_goes_before_is_told(project: Path, flow: Flow) -> None:
    result = flow("config", "set", "tap-x", "pages", "9")
    assert result.stderr == (
        "tap-x: pages is 9 in meltano.yml, line 25.\n"
        "Warning: environment 'dev' in meltano.yml goes before it, so that tap-x gets another value.\n"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("abc", "abc"),
        ("007", "007"),
        ("1.10", "1.10"),
        ("-5", -5),
        ("2.5", 2.5),
        ("true", True),
        ('["a"]', ["a"]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("12345678901234567890", 12345678901234567890),
        ("null", "null"),
    ],
)
def test_a_setting_that_nothing_declares_is_json_where_it_is_plainly_so(
    project: Path, flow: Flow, text: str, value: object
) -> None:
    assert flow("config", "set", "tap-x", "other", text).code == 0
    assert json.loads(flow("config", "print", "tap-x").stdout)["other"] == value


def test_nested_settings_and_extras_have_their_places(project: Path, flow: Flow) -> None:
    assert flow("config", "set", "tap-x", "wide.one", "1").code == 0
    assert flow("config", "set", "tap-x", "_select", '["a.*"]').code == 0
    assert edited(project)[1] == ["        wide:", "          one: 1", "      select:", "        - a.*"]


def test_unset_says_from_where_and_what_is_left(project: Path, flow: Flow) -> None:
    assert flow("config", "set", "tap-x", "pages", "9").code == 0
    result = flow("config", "unset", "tap-x", "pages")
    assert result.stderr == (
        "tap-x: pages is gone from meltano.yml.\nIt comes from: environment 'dev' in meltano.yml.\n"
    )
    assert edited(project) == ([], [])
    assert flow("config", "unset", "tap-x", "start_date").stderr == (
        "tap-x: start_date is gone from .env (TAP_X_START_DATE).\n"
    )


def test_reset_asks_first(project: Path, flow: Flow) -> None:
    result = flow("config", "reset", "tap-x")
    assert result.code == 2
    assert "--yes" in result.stderr
    assert edited(project) == ([], [])
    assert flow("config", "reset", "tap-x", "--yes").code == 0
    assert json.loads(flow("config", "print", "tap-x").stdout) == {"pages": 3}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["tap-y"], "Error: There is no plugin 'tap-y'.\nDid you mean 'tap-x' or 'tap-demo'?\n"),
        (
            ["set", "tap-x", "start_dat", "x"],
            "Error: tap-x declares no setting 'start_dat'.\nDid you mean start_date? If it has it all the same, write "
            "it into meltano.yml by hand.\n",
        ),
        (
            ["set", "tap-x", "pages", "many"],
            "Error: Setting 'pages' of tap-x is 'many' (as typed), not an integer.\nGive it an integer.\n",
        ),
        (
            ["set", "tap-x", "pages"],
            "Error: One value is wanted: typed, or from a file.\nWrite: flow config set PLUGIN SETTING VALUE\n",
        ),
        (
            ["unset", "tap-x", "wide"],
            "Error: 'wide' of tap-x is not set in meltano.yml or .env.\nNothing sets it.\n",
        ),
        (
            ["set", "target-csv", "output_path", "x"],
            "Error: target-csv is not in meltano.yml.\nAdd it first: plugins: {loaders: [{name: target-csv}]}\n",
        ),
        (
            ["set", "tap-x", "_selct", "x"],
            "Error: tap-x has no extra '_selct'.\nDid you mean '_select' or '_select_filter'?\n",
        ),
        (
            ["set", "tap-x", "pages", "3", "--store", "meltano_environment"],
            "Error: No environment was named to write into.\nName one: --environment NAME\n",
        ),
        (
            ["set", "tap-x", "hidden", "a${HOME}b"],
            "Error: .env cannot hold the value of TAP_X_HIDDEN as it is: variables in it would be replaced.\nSet it in "
            "the shell, or in meltano.yml.\n",
        ),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_mistakes_change_nothing(project: Path, flow: Flow, args: list[str], message: str) -> None:
    before = (project / ".env").read_text()
    result = flow("config", *args)
    assert (result.code, result.stderr) == (2, message)
    assert edited(project) == ([], [])
    assert (project / ".env").read_text() == before
