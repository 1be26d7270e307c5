from __future__ import annotations

import json
from pathlib import Path

import pytest

from flow_singer.errors import ConfigError
from flow_singer.project.meltanofile import Project, find_project, load_project


def project_of(root: Path, text: str, *, environment: str | None = None, **environ: str) -> Project:
    (root / "meltano.yml").write_text(text, encoding="utf-8")
    return load_project(root, environment=environment, environ=environ)


def lock(root: Path, kind: str, name: str, variant: str, **definition) -> None:
    folder = root / "plugins" / kind
    folder.mkdir(parents=True, exist_ok=True)
    document = {"plugin_type": kind, "name": name, "variant": variant, **definition}
    (folder / f"{name}--{variant}.lock").write_text(json.dumps(document))


def extractors(*entries: str) -> str:
    return "plugins:\n  extractors:\n" + "".join(f"  - {entry}\n" for entry in entries)


def test_a_project_is_found_from_a_folder_below_it(tmp_path):
    (tmp_path / "meltano.yml").write_text("")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below, {}) == tmp_path.resolve()


def test_the_variable_for_the_root_goes_before_the_search(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meltano.yml").write_text("")
    assert find_project(tmp_path / "one", {"MELTANO_PROJECT_ROOT": str(tmp_path / "two")}) == tmp_path / "two"
    with pytest.raises(ConfigError, match="MELTANO_PROJECT_ROOT"):
        find_project(tmp_path / "one", {"MELTANO_PROJECT_ROOT": str(tmp_path)})


def test_yaml_is_read_by_version_1_2_and_timestamps_stay_as_written(tmp_path):
    text = "a: yes\nb: 010\nc: 0o10\nd: 1_000\ne: 12:30:45\nf: 2024-01-02\ng: 2024-01-01T00:00:00Z\nh: off\n"
    assert project_of(tmp_path, text).raw == {
        "a": "yes",
        "b": 10,
        "c": 8,
        "d": 1000,
        "e": "12:30:45",
        "f": "2024-01-02",
        "g": "2024-01-01T00:00:00Z",
        "h": "off",
    }


def test_anchors_and_merge_keys_are_followed(tmp_path):
    text = "x: &base {a: 1, b: 2}\ny:\n  <<: *base\n  b: 3\n"
    assert project_of(tmp_path, text).raw["y"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1\n", "meltano.yml, line 3: "),
        ("a: 1\nb: 2\na: s3cret\n", "meltano.yml, line 3: the key 'a' is written twice."),
        ("- a\n", "meltano.yml does not hold a mapping."),
        ("plugins: [a]\n", "meltano.yml, line 1: 'plugins' is a list.\nExpected a mapping."),
        ("plugins:\n  extractors: tap-x\n", "meltano.yml, line 2: 'extractors' is text.\nExpected a list of"),
        ("plugins:\n  loaders:\n  - target-x\n", "line 2: 'loaders' is a list.\nExpected a list of mappings"),
        (extractors("namespace: x"), "line 3: an entry of 'extractors' has no name."),
        (extractors("name: 3"), "line 3: 'name' is a number.\nExpected text (numbers in quotes)."),
        (extractors("name: a:b"), "the name of plugin 'a:b' has a colon"),
        (extractors("name: a", "name: b", "name: a"), "line 5: 'a' is already defined under 'extractors'"),
        (
            "environments:\n- name: dev\n- name: dev\n",
            "line 3: 'dev' is already defined under 'environments'",
        ),
        ("env:\n  A: [1]\n", "line 2: 'A' is a list."),
        ("jobs:\n- name: j\n  tasks: {a: b}\n", "line 3: 'tasks' is a mapping."),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        project_of(tmp_path, text)
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_an_error(tmp_path):
    (tmp_path / "meltano.yml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_project(tmp_path, environ={})


def test_python_versions_need_quotes(tmp_path):
    project = project_of(tmp_path, extractors("{name: tap-x, namespace: x, python: 3.10}"))
    with pytest.raises(ConfigError, match="'python' is a number"):
        project.plugin("extractors", "tap-x")


def test_included_files_merge_maps_join_lists_and_replace_scalars(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yml").write_text(
        "default_environment: prod\nenv: {B: 2}\n" + extractors("{name: tap-b, namespace: b}")
    )
    text = (
        "include_paths: ['./sub/*.yml', '*.yml']\ndefault_environment: dev\nenv: {A: 1}\n"
        "environments: [{name: dev}, {name: prod}]\n" + extractors("{name: tap-a, namespace: a}")
    )
    project = project_of(tmp_path, text)
    assert project.environment == "prod"
    assert project.root_env == {"A": "1", "B": "2"}
    assert [plugin.name for plugin in project.plugins("extractors")] == ["tap-a", "tap-b"]


def test_a_plugin_in_two_files_is_an_error_naming_both(tmp_path):
    (tmp_path / "more.yml").write_text(extractors("name: tap-a"))
    with pytest.raises(ConfigError, match=r"more.yml, line 3: 'tap-a' is already .*\(meltano.yml, line 4\)"):
        project_of(tmp_path, "include_paths: ['more.yml']\n" + extractors("name: tap-a"))


@pytest.mark.parametrize("pattern", ["../other.yml", "/etc/*.conf"])
def test_an_include_outside_the_project_is_an_error(tmp_path, pattern):
    (tmp_path / "p").mkdir()
    (tmp_path / "other.yml").write_text("")
    expected = r"meltano.yml, line 1: '.* (not a file of the project|not a pattern inside)"
    with pytest.raises(ConfigError, match=expected):
        project_of(tmp_path / "p", f"include_paths: ['{pattern}']\n")


ENVIRONMENTS = "default_environment: dev\nenvironments: [{name: dev}, {name: staging}, {name: prod}]\n"


@pytest.mark.parametrize(
    ("argument", "shell", "dotenv", "active"),
    [
        ("prod", "staging", "dev", "prod"),
        (None, "staging", "prod", "staging"),
        (None, None, "prod", "prod"),
        (None, None, None, "dev"),
        (None, "", None, "dev"),
        ("null", "prod", None, None),
        (None, "null", None, None),
    ],
)
def test_the_environment_comes_from_argument_shell_dotenv_default(tmp_path, argument, shell, dotenv, active):
    if dotenv:
        (tmp_path / ".env").write_text(f"MELTANO_ENVIRONMENT={dotenv}\n")
    environ = {} if shell is None else {"MELTANO_ENVIRONMENT": shell}
    assert project_of(tmp_path, ENVIRONMENTS, environment=argument, **environ).environment == active


def test_an_unknown_environment_is_an_error_with_near_names(tmp_path):
    with pytest.raises(ConfigError) as caught:
        project_of(tmp_path, ENVIRONMENTS, environment="prd")
    assert str(caught.value) == "meltano.yml has no environment 'prd'.\nDid you mean 'prod'?"


def test_dotenv_interpolates_and_drops_keys_without_value(tmp_path):
    (tmp_path / ".env").write_text('A=one\nB="${A}-two"\nC=${NO_SUCH_VAR:-three}\nD\n# E=5\n')
    assert project_of(tmp_path, "").dotenv == {"A": "one", "B": "one-two", "C": "three"}


def test_variables_go_from_dotenv_to_shell_to_project_to_environment(tmp_path):
    (tmp_path / ".env").write_text("A=dotenv\nB=dotenv\n")
    text = (
        'env: {B: "${B}+root", C: "$B/c", YES: true}\n'
        'environments: [{name: dev, env: {C: "${C}+dev", D: "$A"}, state_id_suffix: "${A}_$D"}]\n'
    )
    project = project_of(tmp_path, text, environment="dev", B="shell")
    variables = project.variables
    assert {name: variables[name] for name in ("A", "B", "C", "D", "YES")} == {
        "A": "dotenv",
        "B": "shell+root",
        "C": "shell+root/c+dev",
        "D": "dotenv",
        "YES": "true",
    }
    assert variables["MELTANO_ENVIRONMENT"] == "dev"
    assert variables["MELTANO_PROJECT_ROOT"] == str(tmp_path.resolve())
    assert project.state_id_suffix == "dotenv_dotenv"


def test_an_empty_state_id_suffix_is_none(tmp_path):
    text = "environments: [{name: dev, state_id_suffix: $NOT_SET}]\n"
    assert project_of(tmp_path, text, environment="dev").state_id_suffix is None


def test_the_system_folder_can_be_moved(tmp_path):
    assert project_of(tmp_path, "").sys_dir == tmp_path.resolve() / ".meltano"
    assert project_of(tmp_path, "", MELTANO_SYS_DIR_ROOT="/elsewhere").sys_dir == Path("/elsewhere")


def test_a_custom_plugin_is_defined_by_its_entry(tmp_path):
    entry = """name: tap-x
    namespace: tap_x
    pip_url: tap-x==1.0
    executable: tap-x-bin
    capabilities: [catalog, state]
    settings:
    - {name: token, kind: password, env: X_TOKEN, aliases: [key]}
    - {name: mode, kind: options, value: a, options: [{label: A, value: a}, {value: b}]}
    config: {token: t0ps3cret}
    select: ["a.*"]
    selct: typo"""
    project = project_of(tmp_path, extractors(entry))
    plugin = project.plugin("extractors", "tap-x")
    assert (plugin.executable, plugin.pip_url, plugin.venv_name) == ("tap-x-bin", "tap-x==1.0", "tap-x")
    assert plugin.capabilities == {"catalog", "state"}
    token, mode = plugin.settings
    assert (token.sensitive, token.env, token.aliases) == (True, "X_TOKEN", ("key",))
    assert (mode.default, mode.options) == ("a", ("a", "b"))
    assert plugin.config == {"token": "t0ps3cret"}
    assert plugin.extras == {"select": ["a.*"], "selct": "typo"}
    assert "t0ps3cret" not in repr(plugin) + repr(project)
    assert project.plugin("extractors", "tap-y") is None
    assert project.plugin("loaders", "tap-x") is None


def test_a_plugin_without_any_definition_still_works(tmp_path):
    plugin = project_of(tmp_path, extractors("{name: tap-x, pip_url: tap-x, config: {a: 1}}")).plugin(
        "extractors", "tap-x"
    )
    assert (plugin.namespace, plugin.executable, plugin.capabilities) == ("tap_x", "tap-x", None)
    assert plugin.settings == ()


def test_a_lockfile_defines_what_the_entry_leaves_out(tmp_path):
    lock(
        tmp_path,
        "extractors",
        "tap-x",
        "acme",
        namespace="tap_x_ns",
        pip_url="acme-tap-x",
        executable="acme-tap",
        capabilities=["discover"],
        settings=[{"name": "a", "value": 1}, {"name": "b", "value": 2}],
        select=["only.*"],
        label="X",
    )
    entry = "{name: tap-x, variant: acme, settings: [{name: b, value: 3}, {name: c}], capabilities: [state]}"
    plugin = project_of(tmp_path, extractors(entry)).plugin("extractors", "tap-x")
    assert (plugin.namespace, plugin.pip_url, plugin.executable) == ("tap_x_ns", "acme-tap-x", "acme-tap")
    assert plugin.capabilities == {"state"}
    assert [(setting.name, setting.default) for setting in plugin.settings] == [
        ("a", 1),
        ("b", 3),
        ("c", None),
    ]
    assert plugin.extra_defaults == {"select": ["only.*"]}


def test_an_empty_list_of_capabilities_declares_that_there_are_none(tmp_path):
    lock(tmp_path, "extractors", "tap-x", "acme", capabilities=["state"])
    lock(tmp_path, "extractors", "tap-y", "acme", capabilities=[])
    entries = (
        "{name: tap-x, capabilities: []}",
        "{name: tap-x--eu, inherit_from: tap-x}",
        "{name: tap-y}",
        "{name: tap-z, namespace: z, pip_url: z, capabilities: null}",
    )
    project = project_of(tmp_path, extractors(*entries))
    found = {p.name: p.capabilities for p in project.plugins("extractors")}
    assert found == {"tap-x": frozenset(), "tap-x--eu": frozenset(), "tap-y": None, "tap-z": None}


def test_the_only_lockfile_of_a_name_is_taken_without_a_variant(tmp_path):
    lock(tmp_path, "extractors", "tap-x", "acme", pip_url="acme-tap-x")
    lock(tmp_path, "extractors", "tap-x--eu", "other", pip_url="wrong")
    project = project_of(tmp_path, extractors("name: tap-x"))
    assert project.plugin("extractors", "tap-x").variant == "acme"
    lock(tmp_path, "extractors", "tap-x", "zeta")
    with pytest.raises(ConfigError, match=r"tap-x--acme\.lock, tap-x--zeta\.lock"):
        project.plugin("extractors", "tap-x")


def test_a_broken_lockfile_is_an_error_with_its_line(tmp_path):
    lock(tmp_path, "extractors", "tap-x", "acme")
    (tmp_path / "plugins/extractors/tap-x--acme.lock").write_text('{\n"name": }')
    project = project_of(tmp_path, extractors("{name: tap-x, variant: acme}"))
    with pytest.raises(ConfigError, match=r"plugins/extractors/tap-x--acme.lock, line 2"):
        project.plugin("extractors", "tap-x")


BASE = (
    "{name: tap-x, namespace: tap_x, pip_url: tap-x, capabilities: [state], settings: [{name: a, value: 1}],"
    " config: {a: 2}}"
)


def test_an_heir_takes_definition_and_environment_of_its_parent(tmp_path):
    project = project_of(
        tmp_path,
        extractors(
            BASE,
            "{name: tap-x--eu, inherit_from: tap-x, config: {b: 1}}",
            "{name: tap-x--eu-2, inherit_from: tap-x--eu, pip_url: tap-x==2, capabilities: [catalog]}",
        ),
    )
    heir, grandchild = (project.plugin("extractors", name) for name in ("tap-x--eu", "tap-x--eu-2"))
    assert (heir.namespace, heir.executable, heir.venv_name) == ("tap_x__eu", "tap-x", "tap-x")
    assert (heir.pip_url, heir.capabilities, heir.config) == ("tap-x", {"state"}, {"b": 1})
    assert [plugin.name for plugin in grandchild.lineage] == ["tap-x--eu-2", "tap-x--eu", "tap-x"]
    assert (grandchild.executable, grandchild.venv_name) == ("tap-x", "tap-x--eu-2")
    assert grandchild.capabilities == {"catalog"}
    assert [setting.name for setting in grandchild.settings] == ["a"]


def test_an_heir_with_a_variant_goes_to_the_lockfile(tmp_path):
    lock(tmp_path, "extractors", "tap-x", "acme", pip_url="acme-tap-x")
    project = project_of(tmp_path, extractors(BASE, "{name: eu, inherit_from: tap-x, variant: acme}"))
    heir = project.plugin("extractors", "eu")
    assert (heir.parent, heir.pip_url, heir.executable, heir.venv_name) == (
        None,
        "acme-tap-x",
        "tap-x",
        "tap-x",
    )


def test_inheritance_in_a_circle_is_an_error(tmp_path):
    project = project_of(tmp_path, extractors("{name: a, inherit_from: b}", "{name: b, inherit_from: a}"))
    with pytest.raises(ConfigError, match="a -> b -> a inherits from itself"):
        project.plugin("extractors", "a")


def test_jobs_are_read_as_words_in_sequence(tmp_path):
    text = "jobs: [{name: j, tasks: [tap-x map target-y, 'dbt:run', [a b, c]]}, {name: k, tasks: a b}]\n"
    assert project_of(tmp_path, text).jobs == {
        "j": ("tap-x", "map", "target-y", "dbt:run", "a", "b", "c"),
        "k": ("a", "b"),
    }


def test_mappings_name_their_mapper_and_must_be_unique(tmp_path):
    text = "plugins: {mappers: [{name: m, mappings: [{name: hide}]}, {name: n, mappings: [{name: OTHER}]}]}\n"
    assert project_of(tmp_path, text).mappings == {"hide": "m", "OTHER": "n"}
    with pytest.raises(ConfigError, match="'hide' is defined by 'm' and 'n'"):
        _ = project_of(tmp_path, text.replace("OTHER", "hide")).mappings


def test_what_flow_does_not_run_is_still_read(tmp_path):
    text = (
        "version: 1\nunknown: 1\nschedules: [{name: s, interval: '@daily'}]\n"
        "plugins: {utilities: [{name: dbt, namespace: dbt, commands: {run: run --all}}], transformers: [x]}\n"
    )
    assert project_of(tmp_path, text).plugin("utilities", "dbt").commands == {"run": "run --all"}
