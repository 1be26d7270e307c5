"""Plugins as programs: where a tap, target or mapper comes from, and the environment it runs in."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

from flow_singer.errors import ConfigError, TapError, TargetError
from flow_singer.files import write_atomic
from flow_singer.nearnames import suggest
from flow_singer.plugins.requirements import Requirements, read_requirements, split_pip_url
from flow_singer.process.interrupts import deferred
from flow_singer.process.lifeline import die_with_parent
from flow_singer.project.masking import mask
from flow_singer.project.variables import variables_in

if TYPE_CHECKING:
    from flow_singer.project.definitions import Plugin
    from flow_singer.project.meltanofile import Project
    from flow_singer.project.settings import PluginSettings

Kind = Literal["extractors", "loaders", "mappers"]
_NOUNS = {"extractors": "tap", "loaders": "target", "mappers": "mapper"}
FINGERPRINT_FILE = ".meltano_plugin_fingerprint"


class Bundled(NamedTuple):
    """A connector that comes with Flow."""

    module: str
    capabilities: frozenset[str] = frozenset()


BUNDLED: Mapping[str, Mapping[str, Bundled]] = {
    "extractors": {"tap-demo": Bundled("flow_tap_demo", frozenset({"catalog", "discover", "state"}))},
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
        capabilities: as declared; None where nobody declared any (see `discovery.capabilities`).
        plugin: its entry in meltano.yml.
        venv: the environment that `ensure_environment` makes; None where it has none of its own.
    """

    name: str
    kind: Kind
    source: Literal["meltano.yml", "bundled", "PATH"]
    command: tuple[str, ...]
    capabilities: frozenset[str] | None = None
    plugin: Plugin | None = None
    venv: Path | None = None

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
        ConfigError: it is nowhere; names where it was looked for, and near names.
    """
    path = environ.get("PATH", os.defpath)
    plugin = project.plugin(kind, name) if project else None
    if project is None or plugin is None:
        if bundled := BUNDLED[kind].get(name):
            return FoundPlugin(name, kind, "bundled", _module_command(bundled), bundled.capabilities)
        if executable := shutil.which(name, path=path):
            return FoundPlugin(name, kind, "PATH", (os.path.abspath(executable),))
        raise _not_found(name, kind, project, path)
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
    raise ConfigError(
        f"{name} has no pip_url in meltano.yml, and there is no executable {where!r}.",
        f"Add its pip_url (such as 'pip_url: {name}') or executable to meltano.yml.",
    )


def _module_command(bundled: Bundled) -> tuple[str, ...]:
    # -P: a file csv.py in the current folder must not stand in for the library's
    return (sys.executable, "-P", "-m", bundled.module)


def _not_found(name: str, kind: Kind, project: Project | None, path: str) -> ConfigError:
    noun = _NOUNS[kind]
    folders = [Path(folder) for folder in path.split(os.pathsep) if folder]
    known = {file.name for folder in folders if folder.is_dir() for file in folder.glob(f"{noun}-*")}
    known.update(BUNDLED[kind], (plugin.name for plugin in project.plugins(kind)) if project else ())
    looked = f"{project.root / 'meltano.yml'}" if project else "meltano.yml (there is none)"
    bundled = ", ".join(BUNDLED[kind]) or "none"
    return ConfigError(
        f"There is no {noun} {name!r}. Looked in {looked}, the bundled ones ({bundled}) and PATH.",
        f"{suggest(name, known)} To have it installed, add to meltano.yml:"
        f" plugins: {{{kind}: [{{name: {name}, pip_url: {name}}}]}}",
    )


def fingerprint(pip_arguments: Sequence[str], python: str | None) -> str:
    """Return what Meltano 4.4 keeps in an environment to tell that its requirements have not changed."""
    parts = sorted(set(pip_arguments))
    if python and python != sys.executable:
        parts.append(f"python:{python}")
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def ensure_environment(
    project: Project, found: FoundPlugin, *, settings: PluginSettings, progress: Callable[[str], None]
) -> None:
    """Make a plugin's environment with uv, unless it is there and its requirements have not changed.

    Args:
        project: its `.meltano` holds the environments, laid out and marked as Meltano's, so that each tool
            uses what the other installed.
        found: nothing is done for one without `pip_url`.
        settings: their `env` expands variables in `pip_url`.
        progress: gets one line at a time.

    Raises:
        TapError, TargetError: uv failed; the last lines that it said are in the message.
        ConfigError: `pip_url` cannot be read, or the packages have no such executable.
    """
    if found.plugin is None or found.venv is None:
        return
    version = {"MELTANO__PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}"}
    variables = {**version, **project.variables, **settings.env}
    pip_url = found.plugin.pip_url or ""
    arguments = split_pip_url(found.name, pip_url, variables, strict=project.strict_variables)
    python = _interpreter(project, found.plugin)
    mark = fingerprint(arguments, python)
    if _is_ready(found.venv, found.command[0], mark):
        return
    requirements = read_requirements(
        found.name,
        arguments,
        environ=project.variables,
        secrets=settings.secrets,
        filled_in={name: variables.get(name, "") for name in variables_in(pip_url)},
    )
    try:
        _install(project, found, found.venv, requirements, python, mark, progress)
    except OSError as exc:
        place = f": {exc.filename}" if exc.filename else ""
        raise found.failure(
            f"{found.name} could not be installed into {found.venv}: {exc.strerror or exc}{place}.",
            "Make room." if exc.errno in (errno.ENOSPC, errno.EDQUOT) else "Mend that and run again.",
        ) from exc


def _install(
    project: Project,
    found: FoundPlugin,
    venv: Path,
    requirements: Requirements,
    python: str | None,
    mark: str,
    progress: Callable[[str], None],
) -> None:
    """Make the environment, unless another process has made it meanwhile."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    with open(venv.parent / ".install.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"Waiting for another process that installs {found.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_ready(venv, found.command[0], mark):
            return
        make = ["venv", "--no-project", f"--python={python or sys.executable}", str(venv)]
        install = ["pip", "install", "--compile-bytecode", f"--python={venv / 'bin' / 'python'}"]
        steps = (
            Requirements(make, secrets=requirements.secrets),
            replace(requirements, arguments=[*install, *requirements.arguments]),
        )
        progress(f"Installing {found.name} into {venv}")
        _remove(venv)
        for step in steps:
            # were Flow killed, uv would work on: it then keeps the lock as long
            _run_uv(project, found, step, progress=progress, lock=lock.fileno())
        _check_program(found, venv)
        write_atomic(venv / FINGERPRINT_FILE, mark.encode())  # last: nothing looks installed without it


def _is_ready(venv: Path, program: str, mark: str) -> bool:
    try:
        installed = (venv / FINGERPRINT_FILE).read_bytes()
    except OSError:  # missing, or not to be read: it is made anew
        return False
    return installed == mark.encode() and (venv / "bin" / "python").exists() and os.access(program, os.X_OK)


def _remove(venv: Path) -> None:
    """Remove an environment, its fingerprint first; uv itself refuses to clear what a killed install left."""
    if venv.is_symlink() or venv.is_file():  # what a link leads to is not ours
        venv.unlink()
        return
    with contextlib.suppress(IsADirectoryError):
        (venv / FINGERPRINT_FILE).unlink(missing_ok=True)
    if venv.exists():
        shutil.rmtree(venv)


def _interpreter(project: Project, plugin: Plugin) -> str | None:
    """Return the Python that the project asks for: the plugin's, the project's, or `.python-version`."""
    chosen = plugin.python or project.variables.get("MELTANO_PYTHON")
    pinned = project.root / ".python-version"
    if not chosen and pinned.is_file():
        try:
            chosen = next(iter(pinned.read_text(encoding="utf-8").splitlines()), "").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                f"Cannot read {pinned}: {exc}.",
                f"Write a version such as 3.12 into it, or 'python:' of {plugin.name}.",
            ) from exc
    return chosen or None


def _run_uv(
    project: Project,
    found: FoundPlugin,
    step: Requirements,
    *,
    progress: Callable[[str], None],
    lock: int,
) -> None:
    try:
        import uv

        program = uv.find_uv_bin()
    except (ImportError, FileNotFoundError) as exc:
        raise found.failure(
            f"{found.name} could not be installed: the program uv, which comes with Flow, is not there ({exc}).",
            "Install Flow anew, or the package uv into its environment.",
        ) from exc
    env = {**project.variables, **step.variables}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        env.pop(name, None)
    with tempfile.TemporaryFile() as lines:  # without a name: gone with the processes that have it open
        lines.write("\n".join(step.lines).encode())
        lines.seek(0)
        code, tail = run_quietly(
            [program, "--color=never", *step.arguments],
            env=env,
            cwd=project.root,
            relay=lambda line: progress(_without_secrets(line, step.secrets)),
            stdin=lines,
            keep_open=(lock,),
            outlives=True,
        )
    if code:
        said = _without_secrets("\n".join(tail), step.secrets)
        raise found.failure(
            f"{found.name} could not be installed: uv {ended(code, 'ended')}.\n{said}",
            f"Check pip_url and python of {found.name} in meltano.yml, and the network; then run again.",
        )


def _check_program(found: FoundPlugin, venv: Path) -> None:
    """Raise ConfigError, with what there is, where the installed packages lack the plugin's executable."""
    if os.access(found.command[0], os.X_OK):
        return
    programs = sorted(
        file.name
        for file in (venv / "bin").iterdir()
        if os.access(file, os.X_OK) and not file.name.startswith(("python", "activate", "pydoc"))
    )
    raise ConfigError(
        f"{found.name} is installed, but has no executable {Path(found.command[0]).name!r}."
        f" It has: {', '.join(programs) or 'none'}.",
        f"Set 'executable:' of {found.name} in meltano.yml to one of them.",
    )


def _without_secrets(text: str, secrets: Collection[str]) -> str:
    return re.sub(r"(://)[^\s/]+@", r"\1***@", mask(text, secrets))  # git+https://TOKEN@host/...


def ended(code: int, how: str) -> str:
    """`exited with code 3`, where `how` is "exited"; `was killed by SIGKILL`."""
    if code >= 0:
        return f"{how} with code {code}"
    known = -code in set(signal.Signals)
    return f"was killed by {signal.Signals(-code).name if known else f'signal {-code}'}"


def run_quietly(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    relay: Callable[[str], None],
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    timeout_s: float | None = None,
    keep_open: Sequence[int] = (),
    outlives: bool = False,
) -> tuple[int, list[str]]:
    """Run a program to its end, in a process group of its own; whatever ends the wait kills the whole group.

    Args:
        command: the argv.
        env: its environment variables.
        relay: gets each line of its stderr.
        cwd: its working folder.
        stdin: file for its standard input, which else is empty.
        stdout: file for its standard output, which else joins stderr.
        timeout_s: the group is killed after that.
        keep_open: descriptors that it inherits.
        outlives: whether it works on where Flow is killed with SIGKILL.

    Returns:
        Exit code, negative for a signal, and the last 20 lines of stderr.

    Raises:
        OSError: it cannot be started.
    """
    tail: deque[str] = deque(maxlen=20)
    process: subprocess.Popen[bytes] | None = None
    timer: threading.Timer | None = None

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            if process is not None:
                os.killpg(process.pid, signal.SIGKILL)

    try:
        with deferred():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
                env=env,
                cwd=cwd,
                start_new_session=True,
                pass_fds=keep_open,
                preexec_fn=None if outlives else die_with_parent,  # noqa: PLW1509
            )
        if timeout_s is not None:
            timer = threading.Timer(timeout_s, kill)
            timer.start()
        for raw in (process.stdout if stdout is None else process.stderr) or ():
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            relay(line)
        return process.wait(), list(tail)
    except BaseException:
        kill()
        raise
    finally:
        if timer is not None:
            timer.cancel()
        if process is not None:
            with process:  # closes its pipes
                pass
