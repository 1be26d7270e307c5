"""Make the environments of plugins before a run needs them, several at once."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self, cast

from flow_singer.errors import ConfigError, FlowError, TapError, TargetError
from flow_singer.nearnames import did_you_mean
from flow_singer.plugins.about import ask_about
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.environments import ensure_environment, is_installed
from flow_singer.plugins.notfound import NOUNS, near_plugins, not_found, there_are
from flow_singer.plugins.programs import BUNDLED, FoundPlugin, Kind, find_plugin
from flow_singer.process.quietrun import Stop, StoppedError
from flow_singer.project.settings import PluginSettings, resolve
from flow_singer.stages.workspace import Workspace

if TYPE_CHECKING:
    from flow_singer.project.definitions import Plugin
    from flow_singer.project.meltanofile import Project

_STOP_S = 2.0
"""How long threads may take to see that their programs are gone."""
_ANSWER_S = 20.0
"""How long a plugin may take to say what it can do."""


@dataclass
class Installation:
    """A plugin that has an environment of its own, and how its installation went.

    Attributes:
        name: of the plugin.
        found: where it is; None where its entry is wrong.
        settings: for the variables of its `pip_url`.
        is_there: whether a run would start it as it is.
        made: whether its environment was made; False where it was there already.
        seconds: how long that took.
        shares: the plugin whose environment it shares, which was made just now.
        error: why it is not installed.
    """

    name: str
    found: FoundPlugin | None = None
    settings: PluginSettings | None = field(default=None, repr=False)
    is_there: bool = False
    made: bool = False
    seconds: float = 0.0
    shares: str | None = None
    error: FlowError | None = None


@dataclass
class Plan:
    """What is to be installed.

    Attributes:
        installations: in the order in which they were asked for.
        needless: by name, why others need no installing: the end of a sentence.
        doubtful: what is wrong with plugins that nobody asked for by name, and that have nothing to install.
    """

    installations: list[Installation] = field(default_factory=list)
    needless: dict[str, str] = field(default_factory=dict)
    doubtful: list[ConfigError] = field(default_factory=list)


def plan_installations(workspace: Workspace, names: Sequence[str]) -> Plan:
    """Find out what plugins there are to install.

    Args:
        workspace: of the command.
        names: of plugins; none for all those of meltano.yml.

    Raises:
        ConfigError: a name is unknown, or there is no project.
    """
    project = workspace.project
    plan = Plan()
    if project is None and not names:
        raise ConfigError(
            f"There is no meltano.yml in {workspace.folder} or above, so there is nothing to install.",
            "Make a project with: flow init",
        )
    for name in dict.fromkeys(names):
        own = [] if project is None else [one for one in _plugins_of(project) if one.name == name]
        if not own:
            plan.needless[name] = _needless_unlisted(workspace, name)
        for plugin in own:
            _add(plan, workspace, plugin, named=True)
    if project is not None and not names:
        for plugin in _plugins_of(project):
            _add(plan, workspace, plugin, named=False)
    return plan


def _plugins_of(project: Project) -> Iterator[Plugin]:
    for kind in NOUNS:
        yield from project.plugins(kind)


def _add(plan: Plan, workspace: Workspace, plugin: Plugin, *, named: bool) -> None:
    project = workspace.project
    assert project is not None
    try:
        if not plugin.pip_url and plugin.kind == "utilities":
            plan.needless[plugin.name] = "it has no pip_url"
            return
        found = _find(workspace, project, plugin)
        if found.venv is None:
            plan.needless[plugin.name] = _why_needless(found)
            return
        settings = resolve(project, plugin)
        is_there = is_installed(project, found, settings=settings)
        plan.installations.append(Installation(plugin.name, found, settings, is_there))
    except ConfigError as error:
        if plugin.pip_url:
            plan.installations.append(Installation(plugin.name, error=error))
        elif named:
            raise
        else:
            plan.doubtful.append(error)


def _find(workspace: Workspace, project: Project, plugin: Plugin) -> FoundPlugin:
    kind = cast("Kind", plugin.kind)
    if plugin.kind != "utilities":
        return find_plugin(plugin.name, kind, project, environ=workspace.environ)
    # Its commands may be other programs than one of its name, so only the environment counts.
    venv = project.sys_dir / plugin.kind / plugin.venv_name / "venv"
    python = (str(venv / "bin" / "python"),)
    return FoundPlugin(plugin.name, kind, "meltano.yml", python, plugin.capabilities, plugin, venv)


def _why_needless(found: FoundPlugin) -> str:
    return "it comes with Flow" if found.source == "bundled" else f"it is the program {found.command[0]}"


def _needless_unlisted(workspace: Workspace, name: str) -> str:
    """Why a plugin that meltano.yml does not have needs no installing.

    Raises:
        ConfigError: there is none of that name.
    """
    if any(name in names for names in BUNDLED.values()):
        return "it comes with Flow"
    path = workspace.environ.get("PATH", "")
    prefixes = {"tap": "extractors", "target": "loaders"}
    kind = prefixes.get(Path(name).name.replace("_", "-").partition("-")[0])
    if kind is not None:
        if program := shutil.which(name, path=path):
            return f"it is the program {program}"
        raise not_found(name, kind, workspace.project, path, bundled=BUNDLED[kind])
    project = workspace.project
    if project is not None and name in project.jobs:
        raise ConfigError(f"{name!r} is a job, not a plugin.", "Its plugins, and all others: flow install")
    known = [] if project is None else [one.name for one in _plugins_of(project)]
    where = (
        "There is no meltano.yml here" if project is None else f"It is not in {project.root / 'meltano.yml'}"
    )
    hint = did_you_mean(near_plugins(name, known)) or there_are("plugins", known)
    if name in (*NOUNS, *NOUNS.values()):
        hint = f"Name plugins, or none for all of them: flow install. {there_are('plugins', known)}"
    raise ConfigError(f"There is no plugin {name!r}. {where}.", hint)


@dataclass
class Progress:
    """How far installing is.

    Attributes:
        total: how many there are.
        done: those that are ready or have failed.
        running: names of those that are being worked on.
    """

    total: int
    done: int = 0
    running: list[str] = field(default_factory=list)


def install(
    workspace: Workspace,
    installations: Sequence[Installation],
    *,
    parallelism: int,
    anew: bool,
    say: Callable[[str], None],
    relay: Callable[[str, str], None],
    begun: Callable[[Installation], None],
    progress: Callable[[Progress], None],
    ended: Callable[[Installation], None],
) -> None:
    """Make the environments of plugins; each is told how its own went, and none stops the others.

    Args:
        workspace: of the command.
        installations: of `plan_installations`.
        parallelism: how many at once.
        anew: make those that are there, too.
        say: gets what a person must know meanwhile.
        relay: gets (name, line) of what uv says.
        begun: gets each one whose environment is about to be made.
        progress: called at each change.
        ended: gets each one that has ended.

    Raises:
        Interrupted: a signal came; what ran has ended, and no environment that is half made counts as one.
    """
    wanted = []
    for one in installations:
        if one.error is not None or (one.is_there and not anew):
            ended(one)
        else:
            wanted.append(one)
    begun_already: set[Path | None] = set()
    reached = Progress(len(wanted))
    with _Workers(workspace, wanted, parallelism, anew=anew, say=say, relay=relay) as workers:
        for one, has_ended in workers.events():
            if has_ended:
                reached.running.remove(one.name)
                reached.done += 1
                ended(one)
            else:
                reached.running.append(one.name)
                venv = one.found.venv if one.found is not None else None
                if venv not in begun_already:
                    begun_already.add(venv)
                    begun(one)
            progress(reached)


class _Workers:
    """Threads that install, each one environment at a time; at the end of the block none runs any more."""

    def __init__(
        self,
        workspace: Workspace,
        installations: Iterable[Installation],
        parallelism: int,
        *,
        anew: bool,
        say: Callable[[str], None],
        relay: Callable[[str, str], None],
    ) -> None:
        self._workspace = workspace
        self._project = workspace.project
        self._anew, self._say, self._relay = anew, say, relay
        self._waiting = deque(_by_environment(installations))
        self._unsaid = 2 * sum(map(len, self._waiting))
        self._events: SimpleQueue[tuple[Installation, bool] | BaseException] = SimpleQueue()
        self._stop = Stop()
        self._threads = [
            # daemons: one that waits for another process must not keep this one
            threading.Thread(target=self._work, name=f"install {number}", daemon=True)
            for number in range(min(parallelism, len(self._waiting)))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.now()
        deadline = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def events(self) -> Iterator[tuple[Installation, bool]]:
        """Yield each installation when it begins (False) and when it has ended (True)."""
        for _ in range(self._unsaid):
            event = self._events.get()
            if isinstance(event, BaseException):
                raise event
            yield event

    def _work(self) -> None:
        try:
            while group := self._next():
                first, *others = group
                self._work_on(first, anew=self._anew)
                for one in others:
                    self._work_on(one, after=first)
        except StoppedError:
            return
        except BaseException as fault:
            self._events.put(fault)

    def _next(self) -> list[Installation]:
        try:
            return self._waiting.popleft()
        except IndexError:
            return []

    def _work_on(self, one: Installation, *, anew: bool = False, after: Installation | None = None) -> None:
        self._events.put((one, False))
        if after is None or not isinstance(after.error, (TapError, TargetError)):
            self._install(one, anew=anew)
            one.shares = after.name if after is not None and after.made and not one.made else None
        else:
            assert one.found is not None
            one.error = one.found.failure(
                f"{one.name} could not be installed: it shares the environment of {after.name}.",
                after.error.hint,
            )
            one.error.exit_code = after.error.exit_code
        self._events.put((one, True))

    def _install(self, one: Installation, *, anew: bool) -> None:
        assert self._project is not None
        assert one.found is not None
        assert one.settings is not None
        started = time.monotonic()
        try:
            one.made = ensure_environment(
                self._project,
                one.found,
                settings=one.settings,
                progress=self._say,
                relay=lambda line: self._relay(one.name, line),
                anew=anew,
                stop=self._stop,
            )
            if one.made:
                self._ask(one.found, one.settings)
        except FlowError as error:
            one.error = error
        one.seconds = time.monotonic() - started

    def _ask(self, found: FoundPlugin, settings: PluginSettings) -> None:
        """Have a tap or target say once what it can do, which runs and `flow config` need; it need not answer."""
        if found.kind not in ("extractors", "loaders"):
            return
        environ = self._workspace.environ
        base = {key: value for key, value in environ.items() if not key.startswith("FLOW_")}
        with contextlib.suppress(FlowError, OSError):
            ask_about(
                found,
                env=found.environment({**base, **settings.env}),
                cache=cache_folder(found, self._project, environ=environ),
                timeout_s=_ANSWER_S,
            )


def _by_environment(installations: Iterable[Installation]) -> list[list[Installation]]:
    """Those that share an environment follow each other; the first makes it."""
    groups: dict[Path, list[Installation]] = {}
    for one in installations:
        if one.found is not None and one.found.venv is not None:
            groups.setdefault(one.found.venv, []).append(one)
    return list(groups.values())
