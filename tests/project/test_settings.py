from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flow_singer.errors import ConfigError
from flow_singer.project.meltanofile import load_project
from flow_singer.project.settings import PluginSettings, plugin_variables, resolve
from flow_singer.project.variables import expand

DEMO = """
default_environment: dev
environments:
- name: dev
- name: prod
  env: {LEVEL: env}
  config:
    plugins:
      extractors:
      - name: tap-demo
        config: {nested: {a: prod-a}, url: prod-url}
        env: {OVER: overlay}
        select: [prod.*]
plugins:
  extractors:
  - name: tap-demo
    namespace: tap_demo_ns
    settings:
    - {name: nested.a, value: def-a}
    - {name: nested.b, value: def-b}
    - {name: arr, kind: array}
    - {name: obj, kind: object}
    - {name: count, kind: integer}
    - {name: ratio, kind: decimal}
    - {name: flag, kind: boolean}
    - {name: since, kind: date_iso8601}
    - {name: mode, kind: options, options: [{value: fast}, {value: slow}]}
    - {name: api_token, kind: password, env: DEMO_TOKEN, aliases: [tok]}
    - {name: url, value: default-url}
    config:
      extra: {deep: {k: v}}
      obj: {a: 3, b: 2}
      port: 80
  - name: tap-heir
    inherit_from: tap-demo
    config: {extra: {more: 1}}
  loaders:
  - name: target-y
    namespace: target_y
    config:
      schema: $MELTANO_EXTRACT__LOAD_SCHEMA
      x: $MELTANO_EXTRACT_API_TOKEN
      y: ${TAP_DEMO_API_TOKEN}
      z: $MELTANO_EXTRACTOR_NAME
"""


def settings_of(
    root: Path,
    name: str = "tap-demo",
    *,
    text: str = DEMO,
    kind: str = "extractors",
    environment: str | None = None,
    dotenv: str = "",
    mapping: str | None = None,
    upstream: tuple[PluginSettings, ...] = (),
    **environ: str,
) -> PluginSettings:
    (root / "meltano.yml").write_text(text, encoding="utf-8")
    (root / ".env").write_text(dotenv, encoding="utf-8")
    project = load_project(root, environment=environment, environ=environ)
    plugin = project.plugin(kind, name)
    assert plugin is not None
    return resolve(project, plugin, upstream=upstream, mapping=mapping)


def tap(config: str, *, more: str = "", top: str = "") -> str:
    return f"{top}\nplugins: {{extractors: [{{name: tap-x, namespace: tap_x, config: {config}, {more}}}]}}\n"


def test_expansion_follows_the_golden_case():
    text = r"\$NOT and $$DOUBLE ${MY_ROOT} $lower ${lower} $MY_ROOT$MY_ROOT ${MISSING}x"
    assert expand(text, {"MY_ROOT": "root"}) == "$NOT and $ root $lower  rootroot x"


def test_expansion_goes_through_lists_and_values_of_mappings_once():
    assert expand({"$A": ["$A", 1, {"k": "${b}"}]}, {"A": "$B", "b": "2", "B": "no"}) == {
        "$A": ["$B", 1, {"k": "2"}]
    }


def test_a_value_of_unset_variables_is_dropped(tmp_path):
    settings = settings_of(tmp_path, "tap-x", text=tap("{a: $MISSING, b: '${MISSING}x', c: ''}"))
    assert settings.config == {"b": "x", "c": ""}


def test_an_unset_variable_is_an_error_in_strict_mode(tmp_path):
    text = tap("{a: $MISSING}", top="ff: {strict_env_var_mode: true}")
    with pytest.raises(ConfigError, match="Variable MISSING is not set"):
        settings_of(tmp_path, "tap-x", text=text)


def test_nested_settings_resolve_leaf_by_leaf(tmp_path):
    assert settings_of(tmp_path, environment="prod").config["nested"] == {"a": "prod-a", "b": "def-b"}


def test_an_object_variable_leaves_the_other_leaves_of_the_file(tmp_path):
    assert settings_of(tmp_path, TAP_DEMO_OBJ='{"z":1}').config["obj"] == {"z": 1, "a": 3, "b": 2}


def test_an_array_variable_may_be_a_python_literal(tmp_path):
    assert settings_of(tmp_path, TAP_DEMO_ARR="['a', 1]").config["arr"] == ["a", 1]


def test_a_variable_reaches_a_nested_key_that_the_file_knows(tmp_path):
    assert settings_of(tmp_path, TAP_DEMO_EXTRA_DEEP_K="e").config["extra"] == {"deep": {"k": "e"}}


def test_a_variable_for_an_unknown_nested_key_is_ignored(tmp_path):
    assert settings_of(tmp_path, TAP_DEMO_OBJ_X="1").config["obj"] == {"a": 3, "b": 2}


def test_a_loader_sees_what_its_extractor_exports(tmp_path):
    upstream = settings_of(tmp_path, TAP_DEMO_API_TOKEN="token")
    loader = settings_of(tmp_path, "target-y", kind="loaders", upstream=(upstream,))
    assert loader.config == {"schema": "tap_demo_ns", "x": "token", "y": "token", "z": "tap-demo"}
    alone = settings_of(tmp_path, "target-y", kind="loaders")
    assert alone.config == {}


@pytest.mark.parametrize(
    ("shell", "dotenv", "environment", "found"),
    [
        ("s", "d", "prod", ("s", "environment variable TAP_DEMO_URL")),
        (None, "d", "prod", ("d", "TAP_DEMO_URL in .env")),
        (None, None, "prod", ("prod-url", "environment 'prod' in meltano.yml")),
        (None, None, "dev", ("default-url", "default")),
        ("", "d", "prod", ("", "environment variable TAP_DEMO_URL")),
    ],
)
def test_the_highest_layer_wins_and_is_named(tmp_path, shell, dotenv, environment, found):
    settings = settings_of(
        tmp_path,
        environment=environment,
        dotenv="" if dotenv is None else f"TAP_DEMO_URL={dotenv}\n",
        **({} if shell is None else {"TAP_DEMO_URL": shell}),
    )
    assert (settings.config["url"], settings.sources["url"]) == found


def test_null_means_not_set_in_this_layer(tmp_path):
    text = DEMO.replace("url: prod-url", "url: null").replace("port: 80", "port: null")
    config = settings_of(tmp_path, text=text, environment="prod").config
    assert config["url"] == "default-url"
    assert "port" not in config


def test_a_scalar_in_a_high_layer_replaces_a_mapping_below(tmp_path):
    text = DEMO.replace("{a: prod-a}", "whole")
    assert settings_of(tmp_path, text=text, environment="prod").config["nested"] == "whole"


def test_a_variable_is_found_by_namespace_and_by_alias(tmp_path):
    assert settings_of(tmp_path, TAP_DEMO_NS_URL="n").config["url"] == "n"
    assert settings_of(tmp_path, TAP_DEMO_TOK="n").config["api_token"] == "n"


def test_an_alias_in_the_file_sets_the_setting(tmp_path):
    text = DEMO.replace("port: 80", "tok: t")
    assert settings_of(tmp_path, text=text).config["api_token"] == "t"


def test_the_exported_name_of_a_setting_is_not_read(tmp_path):
    assert "api_token" not in settings_of(tmp_path, DEMO_TOKEN="x").config


def test_two_variables_for_one_setting_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match="'url' of tap-demo is set by TAP_DEMO_NS_URL and TAP_DEMO_URL"):
        settings_of(tmp_path, TAP_DEMO_URL="a", TAP_DEMO_NS_URL="a")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("COUNT", "5", 5),
        ("RATIO", "0.5", 0.5),
        ("RATIO", "5", 5),
        ("FLAG", "Yes", True),
        ("FLAG", "off", False),
        ("FLAG", "", False),
        ("ARR", "[1]", [1]),
        ("MODE", "slow", "slow"),
        ("SINCE", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("PORT", "81", 81),
        ("URL", "$HOME", "$HOME"),
    ],
)
def test_text_is_cast_to_the_kind_of_its_setting(tmp_path, name, text, value):
    result = settings_of(tmp_path, **{f"TAP_DEMO_{name}": text}).config[name.lower()]
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "COUNT",
            "",
            "Setting 'count' of tap-demo is '' (environment variable TAP_DEMO_COUNT), not an integer.",
        ),
        ("RATIO", "x", "not a number"),
        ("ARR", "x", "not an array written as JSON"),
        ("OBJ", "[1]", "not an object written as JSON"),
        ("MODE", "medium", "not one of fast, slow"),
        ("SINCE", "3 days ago", "Relative dates such as '3 days ago' are not supported yet."),
    ],
)
def test_text_that_does_not_fit_is_an_error(tmp_path, name, text, message):
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, **{f"TAP_DEMO_{name}": text})
    assert message in str(caught.value)


def test_a_secret_that_does_not_fit_is_not_shown(tmp_path):
    text = tap("{}", more="settings: [{name: pin, kind: integer, sensitive: true}]")
    with pytest.raises(ConfigError) as caught:
        settings_of(tmp_path, "tap-x", text=text, TAP_X_PIN="hunter2")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)


def test_an_expanded_value_is_cast(tmp_path):
    text = tap("{port: $PORT}", more="settings: [{name: port, kind: integer}]")
    assert settings_of(tmp_path, "tap-x", text=text, PORT="80").config == {"port": 80}


def test_a_key_with_an_escaped_dot_is_one_key(tmp_path):
    assert settings_of(tmp_path, "tap-x", text=tap(r"{'a\.b': 1, 'c.d': 2}")).config == {
        "a.b": 1,
        "c": {"d": 2},
    }


def test_dates_without_quotes_reach_the_plugin_as_written(tmp_path):
    text = tap("{d: 2024-01-02, t: 2024-01-01T00:00:00Z}")
    assert settings_of(tmp_path, "tap-x", text=text).config == {
        "d": "2024-01-02",
        "t": "2024-01-01T00:00:00Z",
    }


def test_an_heir_sees_every_layer_of_its_parent(tmp_path):
    heir = settings_of(tmp_path, "tap-heir", environment="prod", TAP_DEMO_COUNT="1", TAP_HEIR_RATIO="2")
    assert heir.config["extra"] == {"deep": {"k": "v"}, "more": 1}
    assert (heir.config["count"], heir.config["ratio"], heir.config["url"]) == (1, 2, "prod-url")
    assert heir.extras["select"] == ["prod.*"]
    assert heir.sources["count"] == "tap-demo: environment variable TAP_DEMO_COUNT"
    assert heir.env["TAP_HEIR_COUNT"] == heir.env["TAP_DEMO_COUNT"] == "1"


def test_extras_have_their_defaults(tmp_path):
    extras = settings_of(tmp_path).extras
    assert extras == {
        "select": ["*.*"],
        "select_filter": [],
        "metadata": {},
        "schema": {},
        "load_schema": "tap_demo_ns",
        "use_cached_catalog": True,
    }
    assert settings_of(tmp_path, "target-y", kind="loaders").extras == {"dialect": "target_y"}


def test_extras_come_from_environments_and_variables_with_two_underscores(tmp_path):
    assert settings_of(tmp_path, environment="prod").extras["select"] == ["prod.*"]
    extras = settings_of(
        tmp_path,
        environment="prod",
        TAP_DEMO__SELECT='["a.b"]',
        TAP_DEMO__LOAD_SCHEMA="s",
        TAP_DEMO__METADATA='{"users": {"replication-method": "FULL_TABLE"}}',
        TAP_DEMO__USE_CACHED_CATALOG="false",
    ).extras
    assert (extras["select"], extras["load_schema"], extras["use_cached_catalog"]) == (["a.b"], "s", False)
    assert extras["metadata"] == {"users": {"replication-method": "FULL_TABLE"}}


def test_a_variable_reaches_metadata_that_the_file_knows(tmp_path):
    text = tap("{}", more="metadata: {users: {replication-method: FULL_TABLE}}")
    extras = settings_of(
        tmp_path, "tap-x", text=text, TAP_X__METADATA_USERS_REPLICATION_METHOD="INCREMENTAL"
    ).extras
    assert extras["metadata"] == {"users": {"replication-method": "INCREMENTAL"}}


def test_an_object_in_the_variable_of_an_extra_replaces_what_the_file_has(tmp_path):
    text = tap("{}", more="metadata: {users: {replication-method: LOG_BASED, id: {k: 1}}, other: {k: 2}}")
    whole = '{"users": {"replication-key": "id"}}'
    replaced = settings_of(tmp_path, "tap-x", text=text, TAP_X__METADATA=whole).extras
    assert replaced["metadata"] == {"users": {"replication-key": "id"}}
    assert settings_of(tmp_path, "tap-x", text=text, TAP_X__METADATA="{}").extras["metadata"] == {}
    text = tap("{}", more="schema: {users: {a: {type: string}, b: {type: string}}}")
    replaced = settings_of(tmp_path, "tap-x", text=text, TAP_X__SCHEMA='{"users": {"a": {"type": "null"}}}')
    assert replaced.extras["schema"] == {"users": {"a": {"type": "null"}}}


def test_a_nested_variable_lies_over_the_object_of_its_extra(tmp_path):
    text = tap("{}", more="metadata: {users: {replication-method: LOG_BASED, view: 1}}")
    extras = settings_of(
        tmp_path,
        "tap-x",
        text=text,
        TAP_X__METADATA='{"users": {"replication-method": "FULL_TABLE", "k": 1}}',
        TAP_X__METADATA_USERS_REPLICATION_METHOD="INCREMENTAL",
    ).extras
    assert extras["metadata"] == {"users": {"replication-method": "INCREMENTAL", "k": 1}}


def test_extras_can_mention_the_settings_of_the_plugin(tmp_path):
    text = tap("{name: x}", more="load_schema: raw_$TAP_X_NAME")
    assert settings_of(tmp_path, "tap-x", text=text).extras["load_schema"] == "raw_x"


def test_env_of_the_file_overrides_the_shell_and_each_level_sees_those_before(tmp_path):
    text = """
env: {P: "${P}:root", TAP_X_URL: from-root}
environments: [{name: dev, env: {P: "${P}:env", BOTH: env}, config: {plugins: {extractors: [
  {name: tap-x, env: {P: "${P}:over"}}]}}}]
plugins: {extractors: [{name: tap-x, namespace: tap_x, env: {Q: "${P}:plugin", BOTH: plugin},
  config: {url: a, p: $P, q: $Q, both: $BOTH}}]}
"""
    settings = settings_of(tmp_path, "tap-x", text=text, environment="dev", P="sh", TAP_X_URL="shell")
    assert settings.config == {
        "url": "from-root",
        "p": "sh:root:env:over",
        "q": "sh:root:env:plugin",
        "both": "env",
    }
    assert settings.env["P"] == "sh:root:env:over"


def test_values_of_variables_are_never_expanded(tmp_path):
    text = tap("{a: x, b: y}")
    settings = settings_of(tmp_path, "tap-x", text=text, dotenv="TAP_X_B='$A'\n", TAP_X_A="${HOME}")
    assert settings.config == {"a": "${HOME}", "b": "$A"}


def test_the_process_gets_settings_under_every_name(tmp_path):
    env = settings_of(
        tmp_path, dotenv="ONLY_HERE=1\nSHELL_TOO=1\n", TAP_DEMO_API_TOKEN="t", SHELL_TOO="2"
    ).env
    names = ("DEMO_TOKEN", "TAP_DEMO_API_TOKEN", "TAP_DEMO_NS_API_TOKEN", "MELTANO_EXTRACT_API_TOKEN")
    assert [env[name] for name in names] == ["t"] * 4
    assert "TAP_DEMO_TOK" not in env
    assert env["TAP_DEMO_OBJ"] == '{"a": 3, "b": 2}'
    assert (env["TAP_DEMO_OBJ_A"], env["TAP_DEMO_PORT"]) == ("3", "80")
    assert env["MELTANO_EXTRACT__LOAD_SCHEMA"] == "tap_demo_ns"
    assert (env["MELTANO_EXTRACTOR_NAME"], env["MELTANO_EXTRACTOR_NAMESPACE"]) == ("tap-demo", "tap_demo_ns")
    assert env["MELTANO_ENVIRONMENT"] == "dev"
    assert env["ONLY_HERE"] == "1"
    assert "SHELL_TOO" not in env  # the shell's own value stays


def test_a_setting_is_not_taken_from_what_an_upstream_plugin_exports(tmp_path):
    text = """
plugins:
  extractors: [{name: tap-csv, namespace: csv, config: {path: in}}]
  loaders: [{name: target-csv, namespace: csv, config: {path: out}}]
"""
    upstream = settings_of(tmp_path, "tap-csv", text=text)
    loader = settings_of(tmp_path, "target-csv", text=text, kind="loaders", upstream=(upstream,))
    assert loader.config == {"path": "out"}


def test_a_mapping_goes_over_the_config_of_its_mapper(tmp_path):
    text = """
plugins: {mappers: [{name: m, namespace: m, config: {a: 1, stream_maps: {x: {}}}, mappings: [
  {name: hide, config: {stream_maps: {users: {email: null, name: "$WHO"}}, "$WHO": 1, b: null}}]}]}
"""
    settings = settings_of(tmp_path, "m", text=text, kind="mappers", mapping="hide", WHO="me")
    assert settings.config == {"a": 1, "stream_maps": {"users": {"email": None, "name": "me"}}, "$WHO": 1}
    with pytest.raises(ConfigError, match="no mapping 'hid'"):
        settings_of(tmp_path, "m", text=text, kind="mappers", mapping="hid")


def test_processors_of_a_definition_are_applied(tmp_path):
    declared = (
        "{name: o, kind: object, value_processor: stringify}, {name: u, value_processor: upcase_string}"
    )
    more = f"settings: [{declared}]"
    assert settings_of(tmp_path, "tap-x", text=tap("{o: {k: 1}, u: up}", more=more)).config == {
        "o": '{"k": 1}',
        "u": "UP",
    }


SECRETS: dict[str, Any] = {
    "{api_key: abcd1234}": {"abcd1234"},
    "{clientSecret: abcd1234}": {"abcd1234"},
    "{credentials: {user: someone}}": {"someone"},
    "{auth_tokens: [one1, two2]}": {"one1", "two2"},
    "{password: 123456}": {"123456"},
    "{url: 'postgres://me:hunter2@host/db'}": {"hunter2"},
    "{declared: abcd}": {"abcd"},
    "{replication_key: updated_at, key_properties: [some_id], primary_keys: [uuid]}": set(),
    "{enabled_password: true, monkey: banana}": set(),
}


@pytest.mark.parametrize(("config", "secrets"), SECRETS.items())
def test_secrets_are_found_by_declaration_name_and_url(tmp_path, config, secrets):
    text = tap(config, more="settings: [{name: declared, sensitive: true}]")
    settings = settings_of(tmp_path, "tap-x", text=text)
    assert settings.secrets == secrets
    assert not any(secret in repr(settings) for secret in secrets)


def test_pip_urls_can_use_the_variables_of_the_plugin(tmp_path):
    (tmp_path / "meltano.yml").write_text(tap("{}", more="env: {V: '2'}"))
    project = load_project(tmp_path, environ={})
    plugin = project.plugin("extractors", "tap-x")
    assert expand("tap-x==${V}", plugin_variables(project, plugin)) == "tap-x==2"
