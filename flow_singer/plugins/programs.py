"""Plugins as programs: where a tap, target or mapper is found, and how it is started."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from flow_singer.errors import ConfigError, TapError, TargetError
from flow_singer.plugins.datasources import READER, check_data, is_data
from flow_singer.plugins.notfound import not_found

if TYPE_CHECKING:
    from flow_singer.project.definitions import Plugin
    from flow_singer.project.meltanofile import Project

Kind = Literal["extractors", "loaders", "mappers"]


class Bundled(NamedTuple):
    """A connector that comes with Flow."""

    module: str
    capabilities: frozenset[str] = frozenset()


BUNDLED: Mapping[str, Mapping[str, Bundled]] = {
    "extractors": {
        "tap-datapackage": Bundled("flow_tap_datapackage", frozenset({"catalog", "discover", "state"})),
        "tap-demo": Bundled("flow_tap_demo", frozenset({"catalog", "discover", "state"})),
    },
    "loaders": {
        "target-csv": Bundled("flow_target_csv"),
        "target-datapackage": Bundled("flow_target_datapackage"),
    },
    "mappers": {},
}


@dataclass(frozen=True)
class FoundPlugin:
    """A plugin and how to start it.

    Attributes:
        name: as the user wrote it; part of the state id.
        kind: extractors, loaders or mappers.
        source: where its program comes from.
        command: the argv prefix.
        capabilities: as declared; None where nobody declared any (see `about.capabilities`).
        plugin: its entry in meltano.yml.
        venv: the environment that `environments.ensure_environment` makes; None where it has none of its own.
        data: the data that it reads, where those were named in place of a tap.
    """

    name: str
    kind: Kind
    source: Literal["meltano.yml", "bundled", "PATH"]
    command: tuple[str, ...]
    capabilities: frozenset[str] | None = None
    plugin: Plugin | None = None
    venv: Path | None = None
    data: str | None = None

    @property
    def own_name(self) -> str:
        """As it calls itself: the name by which variables set its settings."""
        return READER if self.data is not None else Path(self.name).name

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return `base` with the changes that keep Flow's packages out of the plugin's environment.

        A bundled connector lives in Flow's own environment, and a program from PATH in the user's: both get
        `base` as it is. A bundled one says only what matters, unless its log level is set.
        """
        env = dict(base)
        if self.source == "bundled" and "LOGLEVEL" not in env:
            env.setdefault(self.command[-1].removeprefix("flow_").upper() + "_LOGLEVEL", "WARNING")
        if self.venv is not None:
            env.pop("PYTHONPATH", None)
            env.pop("PYTHONHOME", None)
            env["VIRTUAL_ENV"] = str(self.venv)
            env["PATH"] = os.pathsep.join([str(self.venv / "bin"), base.get("PATH", os.defpath)])
        return env

    def unstartable(self, exc: OSError) -> TapError | TargetError:
        """Return the error for a program that the system does not start."""
        return self.failure(
            f"{self.name} cannot be started: {exc.strerror}: {self.command[0]}.",
            "If its folder was moved, remove its environment; the next run makes it anew.",
        )

    def failure(self, message: str, hint: str | None = None) -> TapError | TargetError:
        """Return the error for a plugin of this kind."""
        return (TargetError if self.kind == "loaders" else TapError)(message, hint)


def find_plugin(name: str, kind: Kind, project: Project | None, *, environ: Mapping[str, str]) -> FoundPlugin:
    """Find a plugin in meltano.yml, else among those bundled with Flow, else on PATH.

    An entry of meltano.yml that has no `pip_url` and the name of a bundled connector means that one.

    Args:
        name: as on the command line.
        kind: what it is to be used as.
        project: None where there is no meltano.yml.
        environ: its PATH is searched.

    Raises:
        ConfigError: it is nowhere; says what it is instead, or what it may have been meant for.
    """
    path = environ.get("PATH", os.defpath)
    plugin = project.plugin(kind, name) if project else None
    if kind == "extractors" and is_data(name, plugin is not None):
        check_data(name)
        reader = BUNDLED[kind][READER]
        return FoundPlugin(name, kind, "bundled", _module_command(reader), reader.capabilities, data=name)
    if project is None or plugin is None:
        if bundled := BUNDLED[kind].get(name):
            return FoundPlugin(name, kind, "bundled", _module_command(bundled), bundled.capabilities)
        if executable := shutil.which(name, path=path):
            return FoundPlugin(name, kind, "PATH", (os.path.abspath(executable),))
        if "/" in name:
            _refuse_no_program(name)
        raise not_found(name, kind, project, path, bundled=BUNDLED[kind])
    if plugin.pip_url:
        venv = project.sys_dir / kind / plugin.venv_name / "venv"
        command = (str(venv / "bin" / plugin.executable),)
        return FoundPlugin(name, kind, "meltano.yml", command, plugin.capabilities, plugin, venv)
    if bundled := BUNDLED[kind].get(plugin.executable):
        capabilities = bundled.capabilities if plugin.capabilities is None else plugin.capabilities
        return FoundPlugin(name, kind, "bundled", _module_command(bundled), capabilities, plugin)
    where = plugin.executable
    if "/" in where:  # Meltano 4.4: relative to the project, not to the caller's folder
        where = str(project.root / where)
    if executable := shutil.which(where, path=path):
        command = (os.path.abspath(executable),)
        return FoundPlugin(name, kind, "meltano.yml", command, plugin.capabilities, plugin)
    if "/" in plugin.executable:
        _refuse_no_program(where)
        raise ConfigError(
            f"There is no executable {where!r}, which meltano.yml names for {name}.",
            f"Correct 'executable:' of {name}, or add its pip_url.",
        )
    raise ConfigError(
        f"{name} has no pip_url in meltano.yml, and there is no executable {where!r}.",
        f"Add its pip_url (such as 'pip_url: {name}') or executable to meltano.yml.",
    )


def _refuse_no_program(path: str) -> None:
    """Tell of a file that could be a program if it were marked as one."""
    if os.path.isfile(path) and not os.access(path, os.X_OK):
        raise ConfigError(
            f"{path} cannot be started: it is not marked as a program.", f"Mark it: chmod +x {path}"
        )


def _module_command(bundled: Bundled) -> tuple[str, ...]:
    # -P: a file csv.py in the current folder must not stand in for the library's
    return (sys.executable, "-P", "-m", bundled.module)
