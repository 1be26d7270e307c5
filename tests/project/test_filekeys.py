"""Keys of meltano.yml that nobody knows."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from projects import write_project

from flow_singer.errors import ConfigError
from flow_singer.project.filekeys import EXTRAS
from flow_singer.project.meltanofile import load_project
from flow_singer.project.settings import resolve

GOOD = """
version: 1
default_environment: dev
project_id: 6f7e
send_anonymous_usage_stats: false
state_backend: {uri: "file:///s"}
ff: {strict_env_var_mode: false}
cli: {log_level: info}
batch_paths: [in]
env: {A: "1"}
include_paths: []
annotations: {any: thing}
plugins:
  extractors:
  - name: tap-x
    namespace: tap_x
    variant: v
    label: X
    settings: [{name: a, kind: string, label: A, sensitive: true, aliases: [b], options: [{value: 1, label: x}]}]
    config: {anything: {goes: here}}
    select: [a.*]
    select_filter: []
    metadata: {a: {replication-method: FULL_TABLE}}
    schema: {}
    load_schema: s
    catalog: c.json
    state: s.json
    use_cached_catalog: true
    annotations: {x: y}
  loaders: [{name: target-x, namespace: t, dialect: postgres}]
  mappers: [{name: m, namespace: m, mappings: [{name: hide, config: {}}]}]
  utilities: [{name: dbt, namespace: dbt, commands: {run: run}, whatever: 1}]
  files: [{name: f, update: {x: true}}]
environments:
- name: dev
  env: {B: "2"}
  state_id_suffix: s
  config:
    plugins:
      extractors: [{name: tap-x, config: {a: 1}, env: {C: "3"}, select: [b.*], load_schema: t}]
jobs: [{name: j, tasks: [tap-x target-x]}]
schedules: [{name: s, interval: "@daily", job: j, env: {D: "4"}}]
"""


def load(root: Path, text: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Load a project and return what it warns of."""
    (root / "meltano.yml").write_text(text)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "flow_singer"):
        load_project(root, environ={})
    return [record.getMessage() for record in caplog.records]


def test_every_key_that_meltano_knows_is_known(tmp_path, caplog):
    assert load(tmp_path, GOOD, caplog) == []


@pytest.mark.parametrize(
    ("good", "typed"),
    [
        ("plugins:", "plugin:"),
        ("plugins:", "Plugins:"),
        ("plugins:", "plugns:"),
        ("env:", "envs:"),
        ("default_environment:", "default_enviroment:"),
        ("state_backend:", "state_backends:"),
        ("include_paths:", "include_path:"),
        ("environments:", "environment:"),
        ("extractors:", "extractor:"),
        ("loaders:", "loader:"),
        ("  env: {B", "  envs: {B"),
        ("  state_id_suffix: s\n  config:", "  state_id_suffix: s\n  confg:"),
        ("  config:\n    plugins", "  config:\n    plugin"),
        ("      extractors: [", "      extractor: ["),
        ("tasks:", "task:"),
    ],
)
def test_a_slip_that_would_change_what_is_loaded_is_an_error_with_its_line(tmp_path, caplog, good, typed):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(good, typed), caplog)
    line = GOOD[: GOOD.index(good) + good.rfind("\n") + 1].count("\n") + 1
    key = typed.split("\n")[-1].split(":")[0].strip()
    assert caught.value.message.startswith(f"meltano.yml, line {line}: unknown key '{key}'")
    right = good.split("\n")[-1].split(":")[0].strip()
    assert caught.value.hint == f"Did you mean {right}?"


@pytest.mark.parametrize(
    ("good", "typed", "told"),
    [
        ("    select: [a", "    selct: [a", "'selct' of tap-x; it has no effect. Did you mean select?"),
        ("    config: {any", "    confg: {any", "'confg' of tap-x; it has no effect. Did you mean config?"),
        (
            "load_schema: t}",
            "load_shema: t}",
            "'load_shema' of tap-x in environment 'dev'; it has no effect.",
        ),
        ("dialect:", "dialekt:", "'dialekt' of target-x; it has no effect. Did you mean dialect?"),
        ("kind: string", "knd: string", "'knd' in 'settings' of tap-x; it has no effect. Did you mean kind?"),
        ("{name: hide, config", "{name: hide, confg", "'confg' in mapping 'hide' of m; it has no effect."),
        ("interval:", "intervall:", "'intervall' in schedule 's'; it has no effect. Did you mean interval?"),
        ("jobs:", "job:", "'job'; it has no effect. Did you mean jobs?"),
        ("commands:", "comands:", "'comands' of dbt; it has no effect. Did you mean commands?"),
        ("\nversion: 1", "\nx-plugins: 1", "'x-plugins'; it has no effect."),
        ("\nversion: 1", "\n.plugins: 1", "'.plugins'; it has no effect."),
        ("\nversion: 1", "\nmy_tool: {a: 1}", "'my_tool'; it has no effect."),
    ],
)
def test_any_other_unknown_key_is_told_and_does_not_stop_the_run(tmp_path, caplog, good, typed, told):
    (warning,) = load(tmp_path, GOOD.replace(good, typed, 1), caplog)
    assert told in warning
    assert warning.startswith("meltano.yml, line ")


def test_a_definition_in_an_environment_has_no_effect_and_is_told(tmp_path, caplog):
    (warning,) = load(tmp_path, GOOD.replace("load_schema: t}", "pip_url: t}"), caplog)
    told = ": 'pip_url' of tap-x in environment 'dev' has no effect: only the plugin's own entry may say it."
    assert warning.endswith(told)


def test_an_unknown_key_of_an_included_file_is_told_with_that_file(tmp_path, caplog):
    (tmp_path / "more.yml").write_text("jobs: []\nplugns: {}\n")
    with pytest.raises(ConfigError, match=r"more\.yml, line 2: unknown key 'plugns'"):
        load(tmp_path, "include_paths: [more.yml]\n", caplog)


@pytest.mark.parametrize("words", [["tap-x"], ["tap-x", "out/"], ["tap-x", "t.py", "target-x"]])
def test_an_unknown_key_is_told_once_per_run(command, tmp_path, words):
    write_project(
        tmp_path,
        taps={"tap-x": {"script": "declares.py", "selct": ["a"]}},
        targets={"target-x": {"script": "durable.py", "config": {"rows": "rows"}}},
    )
    (tmp_path / "t.py").write_text("def told(df):\n    return df\n")
    run = command.flow("run", *words)
    assert run.code == 0, run.stderr
    assert run.stderr.count("selct") == 1


def test_a_slip_at_the_top_stops_the_run(command, tmp_path):
    (tmp_path / "meltano.yml").write_text(
        "version: 1\nplugin:\n  extractors: [{name: tap-demo, config: {records: 1}}]\n"
    )
    run = command.flow("run", "tap-demo", "out/")
    assert run.code == 2
    assert run.stderr == "Error: meltano.yml, line 2: unknown key 'plugin'.\nDid you mean plugins?\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", EXTRAS)
def test_every_extra_that_has_a_meaning_is_known(tmp_path, kind):
    (tmp_path / "meltano.yml").write_text(f"plugins: {{{kind}: [{{name: x, namespace: x}}]}}")
    project = load_project(tmp_path, environ={})
    plugin = project.plugin(kind, "x")
    assert plugin is not None
    read = {name for name in resolve(project, plugin).read.values() if name.startswith("_")}
    assert {name.removeprefix("_") for name in read} <= EXTRAS[kind]
