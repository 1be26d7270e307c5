"""`flow select`: why streams and fields are in or out, and rules that come and go in meltano.yml."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Command, Result
from projects import FIXTURES, script
from terminal import Terminal

from flow_singer.errors import ConfigError
from flow_singer.stages.selectwriter import read_rules

Flow = Callable[..., Result]

PROJECT = """\
version: 1
default_environment: dev
plugins:
  extractors:
    - name: tap-shop
      namespace: tap_shop
      executable: ./bin/tap-shop
      capabilities: [catalog, discover]
      select:
        # what we need
        - db-issues.*      # all of it

        - "!db-issues.body"
      # the end
    - name: tap-all     # without rules
      inherit_from: tap-plain
    - name: tap-plain
      namespace: tap_plain
      executable: ./bin/tap-shop
      capabilities: [catalog, discover]
    - name: tap-child
      inherit_from: tap-shop
    - name: tap-idle
      namespace: tap_idle
      executable: ./bin/tap-shop
      capabilities: [state]
    - name: tap-lost
      namespace: tap_lost
      executable: ./bin/tap-lost
      capabilities: [catalog, discover]
    - name: tap-fails
      namespace: tap_fails
      executable: ./bin/tap-fails
      capabilities: [catalog, discover]
environments:
  - name: dev
  - name: prod
    config:
      plugins:
        extractors:
          - name: tap-shop
            select: [db-users.*]
  - name: test
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with taps that have rules, none, and those of others."""
    (tmp_path / "meltano.yml").write_text(PROJECT)
    script(tmp_path / "bin", "tap-shop", FIXTURES / "taps" / "selectable.py")
    (tmp_path / "bin" / "tap-fails").write_text("#!/bin/sh\necho 'no token' >&2\nexit 1\n")
    (tmp_path / "bin" / "tap-fails").chmod(0o755)
    return tmp_path


def changes(project: Path) -> list[str]:
    """The lines of meltano.yml that went and came."""
    after = (project / "meltano.yml").read_text()
    diff = difflib.unified_diff(PROJECT.splitlines(), after.splitlines(), n=0, lineterm="")
    return [one for one in diff if not one.startswith(("---", "+++", "@@"))]


def told(result: Result) -> list[str]:
    """What was said, without that of the discovery."""
    return [line for line in result.stderr.splitlines() if not line.endswith("discovering its streams.")]


# ------------------------------------------------------------------------------------------------- look


def test_each_stream_and_field_is_shown_with_its_reason(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-shop")
    assert result.code == 0
    assert (
        result.stdout.decode()
        == """\
STREAM.FIELD     IN    WHY
db-issues        yes   rule 'db-issues.*' (meltano.yml, line 11)
db-issues.id     yes   automatic
db-issues.title  yes   rule 'db-issues.*' (meltano.yml, line 11)
db-issues.body   no    rule '!db-issues.body' (meltano.yml, line 13)
db-issues.blob   no    the tap cannot send it (unsupported)
db-users         no    no rule takes it in
db-events        no    no rule takes it in
"""
    )
    assert told(result) == [
        "tap-shop: 1 of 3 streams, 2 of 7 fields are in. Fields of streams that are out: --all"
    ]
    assert flow("select", "tap-shop", "--list").stdout == result.stdout


def test_all_shows_the_fields_of_what_is_out_and_a_rule_shows_only_that(project: Path, flow: Flow) -> None:
    lines = flow("select", "tap-shop", "--all").stdout.decode().splitlines()
    assert "db-users.login   no    its stream is out" in lines
    assert flow("select", "tap-shop", "db-users", "--list").stdout.decode() == (
        "STREAM.FIELD    IN    WHY\n"
        "db-users        no    no rule takes it in\n"
        "db-users.id     no    its stream is out\n"
        "db-users.login  no    its stream is out\n"
    )
    lines = flow("select", "tap-shop", "db-*.id", "--list").stdout.decode().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "db-issues",
        "db-issues.id",
        "db-users",
        "db-users.id",
        "db-events",
        "db-events.id",
    ]


def test_keys_and_replication_are_shown(flow: Flow) -> None:
    result = flow("select", "tap-demo", "--list")
    shown = dict(re.split(r"  +yes +", line) for line in result.stdout.decode().splitlines()[1:])
    assert shown["issues"] == "rule '*.*' (default), INCREMENTAL by updated_at"
    assert shown["issues.id"] == "primary key, automatic"
    assert shown["issues.updated_at"] == "replication key, automatic"
    assert shown["issues.user.login"] == "rule '*.*' (default)"
    assert shown["repositories"] == "rule '*.*' (default), FULL_TABLE"


@pytest.mark.parametrize(
    ("tap", "args", "env", "place"),
    [
        ("tap-plain", [], {}, "rule '*.*' (default)"),
        ("tap-child", [], {}, "rule 'db-issues.*' (meltano.yml, line 11)"),
        ("tap-shop", ["--environment", "prod"], {}, "rule 'db-users.*' (meltano.yml, line 42)"),
        ("tap-shop", [], {"TAP_SHOP__SELECT": '["db-u*"]'}, "rule 'db-u*' (TAP_SHOP__SELECT)"),
        (
            "tap-shop",
            [],
            {"TAP_SHOP__SELECT_FILTER": '["db-issues"]'},
            "rule 'db-issues.*' (meltano.yml, line 11)",
        ),
    ],
)
def test_a_rule_has_the_place_where_it_is_written(
    project: Path, flow: Flow, tap: str, args: list[str], env: dict[str, str], place: str
) -> None:
    assert place in flow("select", tap, *args, env=env).stdout.decode()


def test_what_is_said_to_be_in_is_what_a_run_gets(project: Path, flow: Flow) -> None:
    from flow_singer.singer.selection import selected_streams

    given = flow("run", "tap-shop").messages
    catalog = next(one["record"]["catalog"] for one in given if one["type"] == "RECORD")
    answer = json.loads(flow("select", "tap-shop", "--json").stdout)
    chosen = {
        stream["stream"]: [".".join(one["property"]) for one in stream["properties"] if one["selected"]]
        for stream in answer["streams"]
        if stream["selected"]
    }
    assert chosen == selected_streams(catalog) == {"db-issues": ["id", "title"]}


def test_json_tells_the_same(project: Path, flow: Flow) -> None:
    answer = json.loads(flow("select", "tap-shop", "--json").stdout)
    assert (answer["tap"], answer["environment"]) == ("tap-shop", "dev")
    assert answer["rules"] == [
        {"rule": "db-issues.*", "place": "meltano.yml, line 11"},
        {"rule": "!db-issues.body", "place": "meltano.yml, line 13"},
    ]
    issues = answer["streams"][0]
    assert issues["properties"][2] == {
        "property": ["body"],
        "key": False,
        "replication_key": False,
        "selected": False,
        "reason": "rule",
        "rule": "!db-issues.body",
        "why": "rule '!db-issues.body' (meltano.yml, line 13)",
    }
    assert [len(one["properties"]) for one in answer["streams"]] == [4, 2, 1]


def test_rules_that_do_nothing_are_told_with_their_line(project: Path, flow: Flow) -> None:
    text = PROJECT.replace("- db-issues.*  ", "- db-isues.*  ")
    (project / "meltano.yml").write_text(text)
    assert told(flow("select", "tap-shop"))[:2] == [
        "Warning: tap-shop: select rule 'db-isues.*' (meltano.yml, line 11): no stream is called so. Did you mean "
        "db-issues?",
        "Warning: tap-shop: no stream is selected, so that a run would fail.",
    ]


def test_a_hand_made_catalog_is_shown_as_it_is(project: Path, flow: Flow) -> None:
    made = {"streams": [{"tap_stream_id": "s", "schema": {"properties": {"a": {}}}, "selected": True}]}
    (project / "own.json").write_text(json.dumps(made))
    text = PROJECT.replace("      # the end", "      catalog: own.json")
    (project / "meltano.yml").write_text(text)
    result = flow("select", "tap-shop")
    assert result.stdout.decode().splitlines()[1:] == [
        "s               yes   the catalog own.json",
        "s.a             yes   the catalog own.json",
    ]
    assert told(result)[0] == (
        "Warning: tap-shop: the catalog own.json is used as it is, so the rules of select do nothing."
    )


@pytest.mark.parametrize("columns", [40, 60])
def test_the_table_fits_the_terminal(project: Path, command: Command, columns: int) -> None:
    with Terminal(
        "flow select tap-shop", columns=columns, cwd=project, env=command.env, lines=60
    ) as terminal:
        assert terminal.end() == 0
        lines = terminal.text.splitlines()
    table = lines[next(number for number, line in enumerate(lines) if line.startswith("STREAM.FIELD")) :]
    assert any(line.startswith("db-issues.title") for line in table)
    names = [line.split()[0] for line in table if line[:3] == "db-"]
    assert names[:5] == ["db-issues", "db-issues.id", "db-issues.title", "db-issues.body", "db-issues.blob"]


# ------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ("issues", ["issues.*"]),
        ("issues.*", ["issues.*"]),
        ("issues.user.login", ["issues.user.login"]),
        ("!issues", ["!issues"]),
        ("*", ["*.*"]),
        ("issues id", ["issues.id"]),
        ("issues *", ["issues.*"]),
        (r"db\.issues id", [r"db\.issues.id"]),
        ("issues users.*", ["issues.*", "users.*"]),
        ("issues !users", ["issues.*", "!users"]),
        ("issues users events", ["issues.*", "users.*", "events.*"]),
        ("a.b a.b", ["a.b"]),
    ],
)
def test_words_are_rules(words: str, rules: list[str]) -> None:
    assert read_rules(words.split()) == rules


def test_words_that_exclude() -> None:
    assert read_rules(["issues", "body"], exclude=True) == ["!issues.body"]
    assert read_rules(["issues", "!users.*"], exclude=True) == ["!issues.*", "!users.*"]


@pytest.mark.parametrize("word", ["", "!", "issues. *"])
def test_words_that_are_no_rules(word: str) -> None:
    with pytest.raises(ConfigError, match="is no select rule"):
        read_rules([word])


# ------------------------------------------------------------------------------------------------- change


def test_a_rule_is_added_and_all_else_stays(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-shop", "db-users.login")
    assert (result.code, result.stdout) == (0, b"")
    assert told(result) == [
        "tap-shop: 'db-users.login' is in meltano.yml, line 14.",
        "tap-shop: 2 of 3 streams, 4 of 7 fields are in now (before: 1 of 3 streams, 2 of 7 fields).",
    ]
    assert changes(project) == ["+        - db-users.login"]


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["db-users", "login"], ["+        - db-users.login"]),
        (["db-users", "*"], ["+        - db-users.*"]),
        (["db-users", "login", "--exclude"], ['+        - "!db-users.login"']),
        (["--exclude", "db-users"], ['+        - "!db-users.*"']),
        (["!db-users.login", "db-events"], ['+        - "!db-users.login"', "+        - db-events.*"]),
        (["db-issues", "body", "--exclude", "--remove"], ['-        - "!db-issues.body"']),
        (["db-issues", "--rm"], ["-        - db-issues.*      # all of it"]),
        (["--remove", "db-issues.*"], ["-        - db-issues.*      # all of it"]),
    ],
    ids=" ".join,
)
def test_the_spellings_of_meltano_and_of_flow(
    project: Path, flow: Flow, args: list[str], lines: list[str]
) -> None:
    assert flow("select", "tap-shop", *args).code == 0
    assert changes(project) == lines


def test_a_rule_that_is_there_is_not_written_twice(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-shop", "db-issues", "!db-issues.body")
    assert told(result)[:2] == [
        "tap-shop: 'db-issues.*' is in meltano.yml, line 11 already.",
        "tap-shop: '!db-issues.body' is in meltano.yml, line 13 already.",
    ]
    assert changes(project) == []


def test_rules_alone_exclude_from_what_was_in_before(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-plain", "!db-users", "!db-*.title")
    assert changes(project) == [
        "+      select:",
        "+        - '*.*'",
        "+        - '!db-users'",
        "+        - '!db-*.title'",
    ]
    assert "'*.*' was copied, as exclusions alone would select nothing." in told(result)
    answer = json.loads(flow("select", "tap-plain", "--json").stdout)
    assert [one["selected"] for one in answer["streams"]] == [True, False, True]


def test_an_environment_that_is_named_gets_the_rule(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-shop", "db-events", "--environment", "prod")
    assert changes(project) == [
        "-            select: [db-users.*]",
        "+            select: [db-users.*, db-events.*]",
    ]
    assert told(result) == [
        "tap-shop: 'db-events.*' is in meltano.yml, line 42.",
        "tap-shop: 2 of 3 streams, 3 of 7 fields are in now (before: 1 of 3 streams, 2 of 7 fields).",
    ]


def test_an_environment_without_rules_begins_with_those_that_held(project: Path, flow: Flow) -> None:
    result = flow("--environment", "test", "select", "tap-shop", "!db-issues.title")
    assert "'db-issues.*', '!db-issues.body' were copied, as exclusions alone would select nothing." in told(
        result
    )
    assert [one.strip("+ -'") for one in changes(project)[-3:]] == [
        "db-issues.*",
        "!db-issues.body",
        "!db-issues.title",
    ]


def test_what_new_rules_stand_in_place_of_is_told(project: Path, flow: Flow) -> None:
    result = flow("--environment", "test", "select", "tap-shop", "db-users")
    assert "Until now 'db-issues.*', '!db-issues.body' held." in told(result)
    answer = json.loads(flow("--environment", "test", "select", "tap-shop", "--json").stdout)
    assert [one["selected"] for one in answer["streams"]] == [False, True, False]


def test_a_child_s_exclusions_narrow_the_rules_of_its_parent(project: Path, flow: Flow) -> None:
    assert flow("select", "tap-child", "!db-issues.title").code == 0
    assert [one.strip("+ -'") for one in changes(project)] == [
        "select:",
        "db-issues.*",
        "!db-issues.body",
        "!db-issues.title",
    ]


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (
            [],
            {"TAP_SHOP__SELECT": '["db-users"]'},
            "Warning: TAP_SHOP__SELECT goes before it, so that tap-shop gets other rules: 'db-users'.",
        ),
        (
            [],
            {"MELTANO_ENVIRONMENT": "prod", "TAP_SHOP__SELECT": '["db-users"]'},
            "Warning: TAP_SHOP__SELECT goes before it, so that tap-shop gets other rules: 'db-users'.",
        ),
    ],
)
def test_a_layer_that_goes_before_it_is_told(
    project: Path, flow: Flow, args: list[str], env: dict[str, str], said: str
) -> None:
    assert said in told(flow("select", "tap-shop", "db-events", *args, env=env))


def test_the_default_environment_that_goes_before_it_is_told(project: Path, flow: Flow) -> None:
    text = PROJECT.replace("default_environment: dev", "default_environment: prod")
    (project / "meltano.yml").write_text(text)
    assert (
        "Warning: environment 'prod' in meltano.yml goes before it, so that tap-shop gets other rules: 'db-users.*'."
    ) in told(flow("select", "tap-shop", "db-events"))


def test_the_last_rule_takes_the_list_away_and_clear_all_of_it(project: Path, flow: Flow) -> None:
    result = flow("--environment", "prod", "select", "tap-shop", "--remove", "db-users.*")
    assert told(result) == [
        "tap-shop: 'db-users.*' is gone from meltano.yml, line 42.",
        "What holds now is 'db-issues.*', '!db-issues.body' (meltano.yml).",
    ]
    result = flow("select", "tap-shop", "--clear")
    assert told(result) == [
        "tap-shop: 'db-issues.*' is gone from meltano.yml, line 11.",
        "tap-shop: '!db-issues.body' is gone from meltano.yml, line 13.",
        "What holds now is '*.*' (default).",
    ]
    assert told(flow("select", "tap-shop", "--clear")) == ["tap-shop has no rules in meltano.yml."]
    assert "select:" not in (project / "meltano.yml").read_text()


def test_taking_away_starts_and_installs_nothing(project: Path, flow: Flow) -> None:
    (project / "bin" / "tap-shop").write_text("#!/bin/sh\ntouch started\n")
    assert flow("select", "tap-shop", "--remove", "db-issues").code == 0
    assert not (project / "started").exists()


def test_rules_of_a_tap_that_is_not_installed_can_be_taken_away(tmp_path: Path, flow: Flow) -> None:
    entry = "{name: tap-new, pip_url: tap-new, select: [a.*, b.*]}"
    (tmp_path / "meltano.yml").write_text(f"plugins: {{extractors: [{entry}]}}\n")
    result = flow("select", "tap-new", "--remove", "a")
    assert (result.code, told(result)) == (0, ["tap-new: 'a.*' is gone from meltano.yml, line 1."])
    assert not (tmp_path / ".meltano").exists()


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        (
            ["db-isues"],
            "tap-shop: select rule 'db-isues.*': no stream is called so. Did you mean db-issues?",
            "It has: db-issues, db-users, db-events.",
        ),
        (
            ["db-users.*", "!db-issues.titel"],
            "tap-shop: select rule '!db-issues.titel': no property matches 'titel'. Did you mean db-issues.title?",
            "Fields that there are: flow select tap-shop db-issues --list",
        ),
        (
            ["db-issues", "db-users"],
            "tap-shop: select rule 'db-issues.db-users': no property matches 'db-users'.",
            "Or did you mean 'db-issues.*' 'db-users.*'?",
        ),
        (
            ["db-users", "login.x"],
            "tap-shop: select rule 'login.x': no stream is called so.",
            "It has: db-issues, db-users, db-events.",
        ),
        (
            ["db-users.id,db-users.login"],
            "tap-shop: select rule 'db-users.id,db-users.login': no property matches 'id,db-users.login'.",
            "Or did you mean db-users.id db-users.login?",
        ),
        (
            ["db-issues.blob"],
            "tap-shop: select rule 'db-issues.blob': the tap cannot send it (inclusion: unsupported).",
            "Fields that there are: flow select tap-shop db-issues --list",
        ),
        (
            ["db-isues", "--list"],
            "tap-shop: select rule 'db-isues.*': no stream is called so. Did you mean db-issues?",
            "It has: db-issues, db-users, db-events.",
        ),
        (
            ["--remove", "!db-issues.bdy"],
            "meltano.yml: tap-shop has no select rule '!db-issues.bdy'.",
            "Did you mean '!db-issues.body' or 'db-issues.*'?",
        ),
        (
            ["--remove", "nothing", "--environment", "test"],
            "meltano.yml, environment 'test': tap-shop has no select rule 'nothing.*'.",
            "Which rules hold, and where they stand: flow select tap-shop --list",
        ),
        (["--remove"], "--remove needs a RULE.", "For example: 'issues.body'"),
        (["--exclude"], "--exclude needs a RULE.", "For example: 'issues.body'"),
        (["--list", "--clear"], "--list and --clear exclude each other.", "Leave one of them out."),
        (["--list", "--exclude", "a"], "--exclude does nothing beside --list.", "Leave it out."),
        (
            ["--clear", "db-users"],
            "--clear takes all rules away, and a RULE is named.",
            "For that one alone: --remove RULE",
        ),
        (
            ["db-users", "--json"],
            "--json does nothing here: rules are changed.",
            "See them with: flow select tap-shop",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    project: Path, flow: Flow, args: list[str], said: str, hint: str
) -> None:
    result = flow("select", "tap-shop", *args)
    assert (result.code, result.stdout) == (2, b"")
    assert told(result) == [f"Error: {said}", hint]
    assert changes(project) == []


@pytest.mark.parametrize(
    ("tap", "why"),
    [
        ("tap-fails", "tap-fails exited with code 1 during discovery. Its last lines were:"),
        ("tap-lost", "There is no executable "),
    ],
)
def test_without_a_catalog_the_rule_is_written_and_that_is_told(
    project: Path, flow: Flow, tap: str, why: str
) -> None:
    result = flow("select", tap, "anything.*")
    assert result.code == 0
    assert f"Warning: The catalog of {tap} is not available, so rules are not checked: {why}" in result.stderr
    assert changes(project) == ["+      select:", "+        - anything.*"]


def test_a_tap_that_takes_no_catalog_gets_no_rules(project: Path, flow: Flow) -> None:
    for args in (["db-users"], ["--list"]):
        result = flow("select", "tap-idle", *args)
        assert result.code == 2
        assert told(result)[0] == (
            "Error: tap-idle takes no catalog, so that rules do nothing: it sends what it likes."
        )
    assert changes(project) == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ["tap-shop", "db-issues.title"],
            "Warning: 'db-issues.title' changes nothing: db-issues.title is in anyway: rule 'db-issues.*' (meltano.yml, "
            "line 11). To take that rule away: flow select tap-shop --remove 'db-issues.*'",
        ),
        (
            ["tap-shop", "!db-users"],
            "Warning: '!db-users' changes nothing: db-users is out anyway: no rule takes it in.",
        ),
        (
            ["tap-shop", "db-issues.body"],
            "Warning: 'db-issues.body' changes nothing: db-issues.body is out anyway: rule '!db-issues.body' "
            "(meltano.yml, line 13). To take that rule away: flow select tap-shop --remove '!db-issues.body'",
        ),
        (
            ["tap-shop", "db-users.login", "--environment", "prod"],
            "Warning: 'db-users.login' changes nothing: db-users.login is in anyway: rule 'db-users.*' (meltano.yml, line "
            "42). To take that rule away: flow select tap-shop --remove 'db-users.*' --environment prod",
        ),
        (
            ["tap-shop", "!db-issues.id"],
            "Warning: select rule '!db-issues.id': the tap sends 'id' all the same (inclusion: automatic).",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_rule_that_changes_nothing_is_told(project: Path, flow: Flow, args: list[str], said: str) -> None:
    result = flow("select", *args)
    assert result.code == 0
    assert said in told(result)


def test_a_tap_that_the_project_does_not_have_cannot_be_changed(project: Path, flow: Flow) -> None:
    result = flow("select", "tap-demo", "issues")
    assert (result.code, told(result)) == (
        2,
        [
            "Error: tap-demo is not in meltano.yml.",
            "Add it first: plugins: {extractors: [{name: tap-demo}]}",
        ],
    )
    assert flow("select", "tap-demo").code == 0


def test_without_a_project_there_is_nothing_to_write_into(flow: Flow) -> None:
    result = flow("select", "tap-demo", "issues")
    assert (result.code, told(result)) == (
        2,
        ["Error: There is no meltano.yml here to write into.", "Make a project with: flow init"],
    )


def test_two_words_may_mean_a_field_within_a_field(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "meltano.yml").write_text("plugins: {extractors: [{name: tap-demo}]}\n")
    result = flow("select", "tap-demo", "issues", "user.login")
    assert told(result) == [
        "Error: tap-demo: select rule 'user.login': no stream is called so. Did you mean users?",
        "Or did you mean issues.user.login?",
    ]


def test_rules_of_an_included_file_are_changed_there(project: Path, flow: Flow) -> None:
    tap = "    - name: tap-plain\n      namespace: tap_plain\n      executable: ./bin/tap-shop\n      capabilities: [catalog, discover]\n"
    text = PROJECT.replace(tap, "").replace("version: 1\n", "version: 1\ninclude_paths: [more.yml]\n")
    (project / "meltano.yml").write_text(text)
    (project / "more.yml").write_text(f"plugins:\n  extractors:\n{tap}      select: [db-users.*]\n")
    result = flow("select", "tap-plain", "db-events")
    assert told(result)[0] == "tap-plain: 'db-events.*' is in more.yml, line 7."
    assert (project / "more.yml").read_text().endswith("select: [db-users.*, db-events.*]\n")
    assert (project / "meltano.yml").read_text() == text
    assert "rule 'db-events.*' (more.yml, line 7)" in flow("select", "tap-plain").stdout.decode()


def test_what_was_written_is_what_a_run_does(project: Path, flow: Flow) -> None:
    flow("select", "tap-shop", "db-users", "login")
    record: dict[str, Any] = next(one for one in flow("run", "tap-shop").messages if one["type"] == "RECORD")
    from flow_singer.singer.selection import selected_streams

    assert selected_streams(record["record"]["catalog"]) == {
        "db-issues": ["id", "title"],
        "db-users": ["id", "login"],
    }
