"""The keys of meltano.yml, and those that nobody knows.

Meltano 4.4 passes over unknown keys, so other tools keep theirs in the file, and any key of a plugin is an
"extra": these are told. A slip of the pen that would change what is loaded stops the run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.project.yamlfile import Section

KINDS = {"extractors": "extractor", "loaders": "loader", "mappers": "mapper", "utilities": "utility"}

# Meltano 4.4, plugin schema; what lock files add to it.
DEFINITION_KEYS = frozenset(
    """name inherit_from namespace variant pip_url python executable capabilities settings_group_validation
    settings commands requires requires_meltano config env label logo_url description hidden plugin_type
    plugin_type_version docs repo supported_python_versions domain_url definition keywords maintenance_status
    quality annotations""".split()  # noqa: SIM905
)
EXTRAS = {
    "extractors": frozenset(
        """select select_filter metadata schema load_schema catalog state use_cached_catalog log_parser
        """.split()  # noqa: SIM905
    ),
    "loaders": frozenset({"dialect", "target_schema", "log_parser"}),
    "mappers": frozenset({"mappings", "log_parser"}),
}
FLOW_KEYS = {"extractors": frozenset({"contract", "expect"})}
"""Keys that Flow alone reads, as they are written. To Meltano they are extras of no meaning."""
_FOR_TAPS = {
    **dict.fromkeys(("taps", "tap", "extractors", "sources"), "extractors"),
    **dict.fromkeys(("targets", "target", "loaders", "destinations"), "loaders"),
}
"""Keys, unknown where they stand, by which people mean a kind of plugins, and that kind."""
_OTHER_KINDS = frozenset({"files", "orchestrators", "transformers", "transforms"})
_TOP = frozenset(
    """version requires_meltano default_environment project_id send_anonymous_usage_stats database_uri
    database_max_retries database_retry_timeout project_readonly python auto_install state_backend venv elt cli
    ff hub_api_root hub_url hub_url_auth hub snowplow experimental env include_paths plugins environments jobs
    schedules annotations batch_paths""".split()  # noqa: SIM905
)
_TOP_DATA = frozenset(
    "plugins environments default_environment env include_paths state_backend database_uri".split()  # noqa: SIM905
)
_ENVIRONMENT = frozenset({"name", "env", "state_id_suffix", "config", "annotations"})
_OVERLAY = frozenset({"name", "config", "env", "annotations"})
_JOB = frozenset({"name", "tasks", "annotations"})
_SCHEDULE = frozenset(
    "name interval start_date job extractor loader transform env annotations".split()  # noqa: SIM905
)
_SETTING = frozenset(
    """name aliases kind value env options sensitive hidden label description documentation placeholder tooltip
    value_processor value_post_processor env_specific protected annotations""".split()  # noqa: SIM905
)


def unknown_keys(raw: Section) -> Iterator[str | ConfigError]:
    """Find the unknown keys of a project's file, and say of each where it is and what may have been meant.

    Yields:
        A sentence; or an error, where a key is near one that decides what is loaded, such as `plugin:` for
        `plugins:`.

    Raises:
        ConfigError: a section has a wrong shape.
    """
    yield from _unknown(raw, _TOP, "", stops=_TOP_DATA)
    yield from _in_plugins(raw.section("plugins"))
    for name, environment in raw.named("environments").items():
        where = f" in environment '{name}'"
        yield from _unknown(environment, _ENVIRONMENT, where, stops=_ENVIRONMENT)
        config = environment.section("config")
        yield from _unknown(config, {"plugins", "annotations"}, where, stops={"plugins"})
        yield from _in_plugins(config.section("plugins"), where)
    for name, job in raw.named("jobs").items():
        yield from _unknown(job, _JOB, f" in job '{name}'", stops={"tasks"})
    for name, schedule in raw.named("schedules").items():
        yield from _unknown(schedule, _SCHEDULE, f" in schedule '{name}'")


def _in_plugins(plugins: Section, environment: str = "") -> Iterator[str | ConfigError]:
    yield from _unknown(plugins, {*KINDS, *_OTHER_KINDS, "annotations"}, environment, stops=KINDS)
    for kind in KINDS:
        for name, entry in plugins.named(kind).items():
            yield from _in_entry(kind, entry, f" of {name}{environment}", is_overlay=bool(environment))


def _in_entry(kind: str, entry: Section, where: str, *, is_overlay: bool) -> Iterator[str | ConfigError]:
    extras = EXTRAS.get(kind)
    known = {
        *(_OVERLAY if is_overlay else DEFINITION_KEYS),
        *(extras or ()),
        *FLOW_KEYS.get(kind, ()),
    }
    for key in entry:
        if is_overlay and key in DEFINITION_KEYS - _OVERLAY:
            yield f"{entry.at(key)}: '{key}'{where} has no effect: only the plugin's own entry may say it."
        elif key not in known and (extras is not None or near_names(key, known, cutoff=0.8)):
            yield _told(entry, key, known, where)
    for setting in entry.items_of("settings", Section, "mappings with a name"):
        yield from _unknown(setting, _SETTING, f" in 'settings'{where}")
    if kind == "mappers":
        for name, mapping in entry.named("mappings").items():
            yield from _unknown(mapping, {"name", "config", "annotations"}, f" in mapping '{name}'{where}")


def _unknown(
    section: Section, known: Collection[str], where: str, *, stops: Collection[str] = ()
) -> Iterator[str | ConfigError]:
    for key in section:
        if key in known:
            continue
        # What is written with a sign in front is meant for somebody else: x-plugins, .plugins
        near = (
            near_names(key.lower(), stops, cutoff=0.8)
            if key[:1].isalpha() and key[1:2] not in ("-", "_")
            else []
        )
        if near:
            yield ConfigError(f"{section.at(key)}: unknown key '{key}'{where}.", did_you_mean(near))
        else:
            yield _told(section, key, known, where)


def _told(section: Section, key: str, known: Collection[str], where: str) -> str:
    near = did_you_mean(near_names(key.lower(), known)[:1])
    if key in _FOR_TAPS:
        near = f"Write it so: plugins: {_FOR_TAPS[key]}:"
    return f"{section.at(key)}: unknown key '{key}'{where}; it has no effect. {near}".rstrip()
