"""What there is: the plugins, jobs and environments of a project, the bundled connectors, the bookmarks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flow_singer.errors import ConfigError

if TYPE_CHECKING:
    from flow_singer.plugins.programs import Kind
    from flow_singer.project.definitions import Plugin
    from flow_singer.project.meltanofile import Project
    from flow_singer.stages.workspace import Workspace
    from flow_singer.state.documents import StateStore

NOUNS = {"extractors": "tap", "loaders": "target", "mappers": "mapper", "utilities": "utility"}
"""What the kinds of meltano.yml are called."""


@dataclass(frozen=True)
class ListedPlugin:
    """A plugin that `flow run` or `flow load` finds by its name.

    Attributes:
        name: as it is typed.
        kind: tap, target, mapper or utility.
        origin: what its program comes from: "pip_url", "bundled" or "executable"; None where that is nowhere.
        source: the pip_url without its secrets, or the program.
        installed: whether it would start as it is.
        in_project: whether meltano.yml has it.
        problem: what is wrong with its entry.
    """

    name: str
    kind: str
    origin: str | None
    source: str | None
    installed: bool
    in_project: bool
    problem: str | None = None


@dataclass(frozen=True)
class ListedJob:
    """A job of meltano.yml and its tasks, one text for each."""

    name: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class ListedEnvironment:
    """An environment of meltano.yml.

    Attributes:
        name: as `--environment` takes it.
        active: whether this command runs in it.
        default: whether `default_environment` names it.
    """

    name: str
    active: bool
    default: bool


@dataclass(frozen=True)
class ListedBookmark:
    """A bookmark.

    Attributes:
        id: its name.
        streams: those that it speaks of.
        saved_at: when it was last written, as far as the store knows.
        problem: why it cannot be read.
    """

    id: str
    streams: tuple[str, ...]
    saved_at: datetime | None
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        """The same for `--json`: the time as text, in UTC."""
        saved_at = self.saved_at.isoformat(timespec="seconds") if self.saved_at else None
        return {"id": self.id, "streams": [*self.streams], "saved_at": saved_at, "problem": self.problem}


def plugins_of(workspace: Workspace) -> list[ListedPlugin]:
    """All plugins of the project, then the bundled connectors that it does not mention.

    Raises:
        ConfigError: meltano.yml cannot be read.
    """
    from flow_singer.plugins.programs import BUNDLED

    project = workspace.project
    listed = [] if project is None else list(_own_plugins(workspace, project))
    known = {(one.kind, one.name) for one in listed}
    return listed + [
        ListedPlugin(name, NOUNS[kind], "bundled", bundled.module, True, False)
        for kind, names in BUNDLED.items()
        for name, bundled in names.items()
        if (NOUNS[kind], name) not in known
    ]


def _own_plugins(workspace: Workspace, project: Project) -> Iterator[ListedPlugin]:
    for kind, noun in NOUNS.items():
        for plugin in project.plugins(kind):
            try:
                yield _utility(project, plugin) if kind == "utilities" else _found(workspace, project, plugin)
            except ConfigError as error:
                origin, source = ("pip_url", _told(plugin.pip_url)) if plugin.pip_url else (None, None)
                yield ListedPlugin(plugin.name, noun, origin, source, False, True, error.message)


def _found(workspace: Workspace, project: Project, plugin: Plugin) -> ListedPlugin:
    """A plugin by where it is found."""
    from typing import cast

    from flow_singer.plugins.programs import find_plugin

    noun = NOUNS[plugin.kind]
    found = find_plugin(plugin.name, cast("Kind", plugin.kind), project, environ=workspace.environ)
    if found.source == "bundled":
        return ListedPlugin(plugin.name, noun, "bundled", found.command[-1], True, True)
    if found.venv is None:
        return ListedPlugin(plugin.name, noun, "executable", plugin.executable, True, True)
    from flow_singer.plugins.environments import is_installed
    from flow_singer.project.settings import resolve

    settings = resolve(project, plugin)
    installed = is_installed(project, found, settings=settings)
    return ListedPlugin(plugin.name, noun, "pip_url", _told(plugin.pip_url), installed, True)


def _utility(project: Project, plugin: Plugin) -> ListedPlugin:
    """A utility, which Flow does not start: whether Meltano would is not looked into."""
    venv = project.sys_dir / plugin.kind / plugin.venv_name / "venv"
    if not plugin.pip_url:
        return ListedPlugin(plugin.name, "utility", "executable", plugin.executable, True, True)
    return ListedPlugin(plugin.name, "utility", "pip_url", _told(plugin.pip_url), venv.is_dir(), True)


def _told(pip_url: str | None) -> str:
    """A pip_url as meltano.yml has it, its variables not filled in, without a secret that was written there."""
    import re

    from flow_singer.project.masking import find_secrets, mask

    text = re.sub(r"://[^/\s@]+@", "://***@", pip_url or "")
    return mask(text, find_secrets({"pip_url": text.split()}))


def jobs_of(project: Project | None) -> list[ListedJob]:
    """The jobs of a project."""
    if project is None:
        return []
    named = project.raw.named("jobs")
    return [ListedJob(name, tuple(_tasks(job.get("tasks")))) for name, job in named.items()]


def _tasks(tasks: Any) -> Iterator[str]:
    """Each task as one text; the project has seen to it that it is text, or a list of tasks."""
    for task in [tasks] if isinstance(tasks, str) else tasks:
        yield task if isinstance(task, str) else " ".join(_tasks(task))


def environments_of(project: Project | None) -> list[ListedEnvironment]:
    """The environments of a project."""
    if project is None:
        return []
    default = project.raw.text("default_environment")
    names = project.raw.named("environments")
    return [ListedEnvironment(name, name == project.environment, name == default) for name in names]


def bookmarks_of(store: StateStore, pattern: str | None = None) -> list[ListedBookmark]:
    """The bookmarks of a store; `pattern` is a glob of ids.

    Raises:
        ConfigError: the store cannot be used.
    """
    from flow_singer.state.statevalues import streams_of

    return [
        ListedBookmark(one.state_id, streams_of(one.value), one.saved_at, one.problem)
        for one in store.read_all(pattern)
    ]
