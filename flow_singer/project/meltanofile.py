"""Find and read meltano.yml: the project, its environments, and how each plugin is defined."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.nearnames import suggest
from flow_singer.project.definitions import Plugin
from flow_singer.project.filekeys import KINDS, unknown_keys
from flow_singer.project.inheritance import define_plugin
from flow_singer.project.jobs import job_words, mapping_owners
from flow_singer.project.variables import as_text, env_name, expand, expand_env, flatten, truthy
from flow_singer.project.yamlfile import Section, read_dotenv, read_yaml

logger = logging.getLogger(__name__)

PROJECT_FILE = "meltano.yml"
_NOT_SETTINGS = frozenset(
    "version requires_meltano env include_paths plugins environments jobs schedules annotations batch_paths".split()  # noqa: SIM905
)


@dataclass(frozen=True, eq=False)
class Project:
    """A meltano.yml with its included files, `.env` and the active environment."""

    root: Path
    environment: str | None
    dotenv: Mapping[str, str] = field(repr=False)
    raw: Section = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def without_file(cls, environ: Mapping[str, str]) -> Project:
        """What stands for a project where there is no meltano.yml: the shell's variables, and nothing else."""
        return cls(Path(), None, {}, Section(), dict(environ))

    def plugin(self, kind: str, name: str) -> Plugin | None:
        """The plugin of that kind and name, or None where the project has none.

        Raises:
            ConfigError: its entry or lockfile has a wrong shape, or its inheritance goes in a circle.
        """
        return self._define(kind, name) if name in self._entries[kind] else None

    def plugins(self, kind: str) -> list[Plugin]:
        """All plugins of a kind ("extractors", "loaders", "mappers", "utilities"), in the file's order."""
        return [self._define(kind, name) for name in self._entries[kind]]

    def _define(self, kind: str, name: str) -> Plugin:
        return define_plugin(kind, name, self._entries[kind], locks=self.root / "plugins" / kind)

    @property
    def plugin_names(self) -> set[str]:
        """The names and namespaces of all plugins."""
        entries = [entry for kind in self._entries.values() for entry in kind.items()]
        return {one for name, entry in entries for one in (name, entry.text("namespace")) if one}

    @cached_property
    def mappings(self) -> dict[str, str]:
        """The mapper that owns each mapping, by the mapping's name (which is what a pipeline mentions)."""
        return mapping_owners(self._entries["mappers"])

    @cached_property
    def jobs(self) -> dict[str, tuple[str, ...]]:
        """The words of each job's tasks, in sequence: names of plugins, of mappings, `plugin:command`."""
        return job_words(self.raw.named("jobs"))

    @property
    def sys_dir(self) -> Path:
        """Where environments, state and runs live: `.meltano`, or MELTANO_SYS_DIR_ROOT."""
        return self.root / (self._variable("MELTANO_SYS_DIR_ROOT") or ".meltano")

    @property
    def batch_roots(self) -> list[Path]:
        """The folders whose files a BATCH message may name: the project, its runs, and `batch_paths:`.

        Raises:
            ConfigError: `batch_paths` is not a list of texts.
        """
        named = self.raw.items_of("batch_paths", str, "texts")
        return [self.root, self.sys_dir / "run", *(self.root / os.path.expanduser(one) for one in named)]

    @property
    def strict_variables(self) -> bool:
        """Whether a variable that is not set is an error (`ff.strict_env_var_mode`)."""
        value = self._variable("MELTANO_FF_STRICT_ENV_VAR_MODE")
        return truthy(self.raw.section("ff").get("strict_env_var_mode") if value is None else value)

    @property
    def state_id_suffix(self) -> str | None:
        """The active environment's `state_id_suffix`, expanded; None where empty."""
        suffix = self._environment.text("state_id_suffix")
        return expand(suffix, self.variables, strict=self.strict_variables) or None

    def environment_overlay(self, kind: str, name: str) -> Section:
        """What the active environment says of a plugin: `config`, `env` and extras; empty where nothing."""
        plugins = self._environment.section("config").section("plugins")
        return plugins.named(kind).get(name) or Section(plugins.place)

    @cached_property
    def own_variables(self) -> dict[str, str]:
        """The MELTANO_... variables that describe the project and the settings at the top of its file."""
        settings = Section(items={key: self.raw[key] for key in self.raw if key not in _NOT_SETTINGS})
        return {
            **{
                env_name("meltano", path): as_text(value)
                for path, value in flatten(settings).items()
                if value is not None and self._variable(env_name("meltano", path)) is None
            },
            "MELTANO_PROJECT_ROOT": str(self.root),
            "MELTANO_SYS_DIR_ROOT": str(self.sys_dir),
            "MELTANO_ENVIRONMENT": self.environment or "",
            "MELTANO_USER_AGENT": "flow-singer",
        }

    @cached_property
    def root_env(self) -> dict[str, str]:
        """The variables under `env` at the top of the file, expanded."""
        return expand_env(self.raw.env(), self._outer_variables, strict=self.strict_variables)

    @cached_property
    def environment_env(self) -> dict[str, str]:
        """The variables under `env` of the active environment, expanded with those above it."""
        above = {**self._outer_variables, **self.root_env}
        return expand_env(self._environment.env(), above, strict=self.strict_variables)

    @cached_property
    def variables(self) -> dict[str, str]:
        """What `$NAME` may mean outside a plugin: .env < shell < Meltano's own < project < environment."""
        return {**self._outer_variables, **self.root_env, **self.environment_env}

    @property
    def _outer_variables(self) -> dict[str, str]:
        return {**self.dotenv, **self.environ, **self.own_variables}

    def _variable(self, name: str) -> str | None:
        return self.environ.get(name, self.dotenv.get(name))

    @cached_property
    def _entries(self) -> dict[str, dict[str, Section]]:
        entries = {kind: self.raw.section("plugins").named(kind) for kind in KINDS}
        for names in entries.values():
            _refuse_colons(names, "plugin")
        return entries

    @cached_property
    def _environment(self) -> Section:
        environments = self.raw.named("environments")
        return environments[self.environment] if self.environment else Section()


def find_project(start: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the folder of the project: MELTANO_PROJECT_ROOT, else the nearest one up with a meltano.yml.

    Raises:
        ConfigError: MELTANO_PROJECT_ROOT names a folder without meltano.yml.
    """
    named = environ.get("MELTANO_PROJECT_ROOT")
    if named:
        root = (start / named).resolve()
        if not (root / PROJECT_FILE).is_file():
            raise ConfigError(
                f"MELTANO_PROJECT_ROOT is '{named}', which has no meltano.yml.", "Correct or unset it."
            )
        return root
    start = start.resolve()
    # What is no file is told when it is read.
    return next((one for one in (start, *start.parents) if os.path.lexists(one / PROJECT_FILE)), None)


def load_project(
    root: Path,
    *,
    environment: str | None = None,
    environ: Mapping[str, str],
    warn: Callable[[str], object] = logger.warning,
) -> Project:
    """Read meltano.yml in `root`, the files it includes, and `.env`.

    Args:
        root: the project's folder.
        environment: name of the environment, "null" for none; else MELTANO_ENVIRONMENT (shell, then `.env`),
            else `default_environment`.
        environ: the shell's variables. (Inside `.env`, python-dotenv interpolates with this process's own.)
        warn: gets a sentence on each key that nobody knows.

    Raises:
        ConfigError: a file cannot be read, has a wrong shape or defines a name twice (with file and line),
            the environment is unknown, or a key is all but one that decides what is loaded. Other unknown keys
            are warned of.

    Source: Meltano 4.4, "Project structure" and "Environments".
    """
    root = root.resolve()
    raw = read_files(root)
    unknown = list(unknown_keys(raw))
    for error in (one for one in unknown if isinstance(one, ConfigError)):
        raise error
    for text in unknown:
        warn(str(text))
    dotenv = read_dotenv(root / ".env")
    chosen = (
        environment
        or environ.get("MELTANO_ENVIRONMENT")
        or dotenv.get("MELTANO_ENVIRONMENT")
        or raw.text("default_environment")
    )
    active = None if not chosen or chosen == "null" else chosen
    environments = raw.named("environments")
    _refuse_colons(environments, "environment")
    if active and active not in environments:
        raise ConfigError(f"meltano.yml has no environment '{active}'.", suggest(active, environments))
    project = Project(root, active, dotenv, raw, dict(environ))
    _ = project._entries, project.root_env, project.environment_env, project.jobs  # wrong shapes show now
    return project


def read_files(root: Path) -> Section:
    """Read meltano.yml with what it includes.

    Raises:
        ConfigError: a file cannot be read, or is no YAML.
    """
    raw = read_yaml(root / PROJECT_FILE, PROJECT_FILE)
    for path in _included(root, raw):
        raw = raw.merged(read_yaml(path, _called(root, path)))
    return raw


def project_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield meltano.yml and the files it includes, each with the name by which errors call it.

    Raises:
        ConfigError: meltano.yml cannot be read, or its `include_paths` name something else.
    """
    yield root / PROJECT_FILE, PROJECT_FILE
    for path in _included(root, read_yaml(root / PROJECT_FILE, PROJECT_FILE)):
        yield path, _called(root, path)


def _called(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _included(root: Path, raw: Section) -> Iterator[Path]:
    place = raw.at("include_paths")
    hint = "Include files of the project only."
    for pattern in raw.items_of("include_paths", str, "texts"):
        try:
            paths = sorted(root.glob(pattern))
        except (ValueError, NotImplementedError) as exc:
            raise ConfigError(f"{place}: '{pattern}' is not a pattern inside the project.", hint) from exc
        for path in paths:
            if not path.is_file() or not path.resolve().is_relative_to(root):
                raise ConfigError(f"{place}: '{pattern}' matches {path}, not a file of the project.", hint)
            if path != root / PROJECT_FILE:
                yield path


def _refuse_colons(names: Mapping[str, Section], what: str) -> None:
    for name, entry in names.items():
        if ":" in name:
            raise ConfigError(
                f"{entry.at('name')}: the name of {what} '{name}' has a colon.",
                "Rename it: a colon separates the parts of a state id.",
            )
