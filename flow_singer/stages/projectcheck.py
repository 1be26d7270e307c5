"""What is wrong with a project, found without running or installing anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from flow_singer.errors import ConfigError
from flow_singer.nearnames import suggest
from flow_singer.plugins.datasources import READER
from flow_singer.plugins.prepare import (
    KnownSettings,
    about_without_asking,
    idle_variables,
    resolve_known,
    undeclared_keys,
)
from flow_singer.plugins.programs import Kind, find_plugin
from flow_singer.plugins.requirements import split_pip_url
from flow_singer.project.definitions import Plugin
from flow_singer.project.filekeys import KINDS, unknown_keys
from flow_singer.project.meltanofile import PROJECT_FILE, Project, find_project, load_project, read_files
from flow_singer.project.settings import PluginSettings, plugin_variables
from flow_singer.project.variables import get, mentioned
from flow_singer.project.yamlfile import Section
from flow_singer.stages.contracts import contracts_of_tap
from flow_singer.stages.expected import expected_of_tap
from flow_singer.stages.knownselection import kept_selection
from flow_singer.stages.workspace import Workspace

_PLACE = re.compile(r"(?P<file>[\w./-]+), line (?P<line>\d+)")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        file: where, relative to the project.
        line: in it, from 1; None where it is not about a line.
        severity: an error stops a run.
        message: what is wrong.
        hint: the next step.
    """

    file: str
    line: int | None
    severity: Literal["error", "warning"]
    message: str
    hint: str | None


@dataclass
class Check:
    """What was looked at, and what is wrong with it.

    Attributes:
        findings: by file and line; each once, however many environments it is in.
        plugins: names of those that were looked at.
        jobs: likewise.
        environments: likewise.
    """

    findings: list[Finding] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)

    def error(self, error: ConfigError, place: str = PROJECT_FILE) -> None:
        """Add what stops a run; `place` is where it is unless the message says so."""
        self._add("error", error.message, error.hint, place)

    def warning(self, text: str, place: str = PROJECT_FILE) -> None:
        """Add what a run only tells."""
        self._add("warning", text, None, place)

    def _add(self, severity: Literal["error", "warning"], message: str, hint: str | None, place: str) -> None:
        found = _PLACE.search(message) or _PLACE.fullmatch(place)
        file, line = (found["file"], int(found["line"])) if found else (place, None)
        finding = Finding(
            file,
            line,
            severity,
            message.removeprefix(f"{file}, line {line}: ").removeprefix(f"{file}: "),
            hint,
        )
        if finding not in self.findings:
            self.findings.append(finding)


def check_project(
    workspace: Workspace, names: Sequence[str], check_job: Callable[[Workspace, str], object]
) -> Check:
    """Look for all that is wrong with the project around a folder.

    Every environment is looked at, or the one that a person named.

    Args:
        workspace: where the command works.
        names: of plugins and jobs, to look at no others; none for all.
        check_job: raises ConfigError where the tasks of a job do not read as pipelines.

    Raises:
        ConfigError: there is no project, or it has no such plugin or job.
    """
    root = find_project(workspace.folder, workspace.environ)
    if root is None:
        raise ConfigError(
            f"There is no {PROJECT_FILE} in {workspace.folder} or above.", "Make a project with: flow init"
        )
    check = Check()
    try:
        raw = read_files(root)
        stops = _check_keys(raw, check)
        environments = list(raw.named("environments"))
    except ConfigError as error:
        check.error(error)
        return check
    if not stops:
        chosen = [workspace.environment] if workspace.environment else ["null", *environments]
        for environment in chosen:
            _check_environment(workspace, root, environment, names, check_job, check)
    order = [PROJECT_FILE, *sorted({one.file for one in check.findings} - {PROJECT_FILE})]
    check.findings.sort(key=lambda one: (order.index(one.file), one.line or 0))
    return check


def _check_keys(raw: Section, check: Check) -> bool:
    """Look at the keys; whether one of them stops the project from being read."""
    stops = False
    for said in unknown_keys(raw):
        if isinstance(said, ConfigError):
            check.error(said)
            stops = True
        else:
            check.warning(said)
    return stops


def _check_environment(
    workspace: Workspace,
    root: Path,
    environment: str,
    names: Sequence[str],
    check_job: Callable[[Workspace, str], object],
    check: Check,
) -> None:
    try:
        project = load_project(
            root, environment=environment, environ=workspace.environ, warn=lambda text: None
        )
        plugins = [(kind, name) for kind in KINDS for name in project.raw.section("plugins").named(kind)]
        _ = project.mappings
    except ConfigError as error:
        check.error(error)
        return
    _remember(check.environments, environment if environment != "null" else "")
    jobs = list(project.jobs)
    if names:
        _check_names(names, [name for _, name in plugins], jobs)
        jobs = [job for job in jobs if job in names]
        wanted = {*names, *(word for job in jobs for word in project.jobs[job])}
        plugins = [(kind, name) for kind, name in plugins if name in wanted]
    for kind, name in plugins:
        _remember(check.plugins, name)
        _check_plugin(project, kind, name, workspace.environ, check)
    here = Workspace(workspace.folder, workspace.environ, environment)
    here.project = project  # or it would be read again for each job
    for job in jobs:
        _remember(check.jobs, job)
        place = project.raw.named("jobs")[job].at("tasks")
        said = ""
        try:
            check_job(here, job)
        except ConfigError as error:
            check.error(error, place)
            said = error.message
        for word in project.jobs[job]:
            if re.search(r"\.py(:\w+)?$", word) and f" {word}." not in said:
                _check_functions(workspace.folder, word, place, check)
    if not names:
        _check_schedules(project, check)


def _remember(names: list[str], name: str) -> None:
    if name and name not in names:
        names.append(name)


def _check_names(names: Sequence[str], plugins: Sequence[str], jobs: Sequence[str]) -> None:
    for name in names:
        if name not in plugins and name not in jobs:
            raise ConfigError(
                f"{PROJECT_FILE} has no plugin or job '{name}'.", suggest(name, {*plugins, *jobs})
            )


def _check_plugin(project: Project, kind: str, name: str, environ: Mapping[str, str], check: Check) -> None:
    place = project.raw.section("plugins").named(kind)[name].place
    try:
        plugin = project.plugin(kind, name)
        assert plugin is not None  # it is in the file
        about = None
        if kind != "utilities":
            find_plugin(name, cast("Kind", kind), project, environ=environ)
            about = about_without_asking(name, cast("Kind", kind), project, environ)
        variables = plugin_variables(project, plugin)
        if plugin.pip_url:
            split_pip_url(name, plugin.pip_url, variables, strict=project.strict_variables)
        known = resolve_known(project, plugin, about, tell=lambda error: check.error(error, place))
    except ConfigError as error:
        check.error(error, place)
        return
    for said in (*idle_variables(plugin, known), *undeclared_keys(project, plugin, about, {})):
        if isinstance(said, ConfigError):
            check.error(said, place)
        else:
            check.warning(said, place)
    required = about.settings.get("required") if about and isinstance(about.settings, Mapping) else None
    groups = [frozenset(map(str, required))] if isinstance(required, list) else plugin.required
    if name == READER:  # without a path, its settings hold for each that is typed
        groups = [group - {"path"} for group in groups]
    _check_required(plugin, known, groups, place, check)
    for text in _unset_variables(project, plugin, variables):
        check.warning(text, place)
    if kind == "extractors":
        try:
            expected_of_tap(project, name)
            contracts_of_tap(project, name)
        except ConfigError as error:
            check.error(error, place)
        _check_rules(project, known.settings, environ, place, check)


def _check_rules(
    project: Project, settings: PluginSettings, environ: Mapping[str, str], place: str, check: Check
) -> None:
    """Look at what the rules of a tap make of its catalog, where one is kept."""
    name = settings.plugin.name
    try:
        selection = kept_selection(settings, project, environ)
    except ConfigError as error:
        check.error(error, place)
        return
    if selection is None:
        return
    for text in selection.result.warnings:
        check.warning(f"{name}: {text}", selection.place_of(text) or place)
    if not any(one.choice.is_in for one in selection.streams):
        where = next(iter(selection.rules.places.values()), place)
        none = ConfigError(f"{name}: no stream is selected.", f"Its streams: flow discover {name}")
        check.error(none, where)


def _check_required(
    plugin: Plugin, known: KnownSettings, groups: Sequence[frozenset[str]], place: str, check: Check
) -> None:
    missing = [sorted(name for name in group if get(known.settings.config, name) is None) for group in groups]
    if not missing or not all(missing):
        return
    fewest = min(missing, key=len)
    what = (
        f"the setting '{fewest[0]}'" if len(fewest) == 1 else f"the settings {', '.join(map(repr, fewest))}"
    )
    check.error(
        ConfigError(
            f"{plugin.name} needs {what}.", f"Set it: flow config set {plugin.name} {fewest[0]} VALUE"
        ),
        place,
    )


def _unset_variables(project: Project, plugin: Plugin, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence on each setting that names a variable which is not set; a target's may be its tap's."""
    overlay = project.environment_overlay(plugin.kind, plugin.name)
    sections: list[Any] = [plugin.config, overlay.section("config")]
    for section in (one for one in sections if isinstance(one, Section)):
        for key, value in section.items():
            for name in mentioned(value):
                if name not in variables and not name.startswith(("MELTANO_", "TAP_")):
                    yield f"{section.at(key)}: ${name} is not set, and '{key}' of {plugin.name} names it."


def _check_functions(folder: Path, word: str, place: str, check: Check) -> None:
    """Look at a file of functions; it is read, and not run."""
    name = word.rpartition(".py")[0] + ".py"
    path = folder / name
    if not path.is_file():
        check.error(
            ConfigError(f"There is no file {name!r} in {folder}.", "Write it, or correct the job."), place
        )
        return
    try:
        ast.parse(path.read_bytes(), name)
    except SyntaxError as exc:
        check.error(
            ConfigError(f"{name}, line {exc.lineno or 1}: {exc.msg}.", "Python cannot read the file."), place
        )
    except ValueError as exc:
        check.error(ConfigError(f"{name}: {exc}.", "Python cannot read the file."), name)


def _check_schedules(project: Project, check: Check) -> None:
    kinds = {"extractor": "extractors", "loader": "loaders"}
    for name, schedule in project.raw.named("schedules").items():
        job = schedule.get("job")
        if job is not None and job not in project.jobs:
            check.error(
                ConfigError(f"schedule '{name}': there is no job '{job}'.", suggest(str(job), project.jobs)),
                schedule.at("job"),
            )
        for key, kind in kinds.items():
            plugins = project.raw.section("plugins").named(kind)
            if (one := schedule.get(key)) is not None and one not in plugins:
                check.error(
                    ConfigError(f"schedule '{name}': there is no {key} '{one}'.", suggest(str(one), plugins)),
                    schedule.at(key),
                )
