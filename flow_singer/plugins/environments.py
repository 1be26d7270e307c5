"""The environments of plugins: made with uv, laid out and marked as Meltano's."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flow_singer.errors import EXIT_USAGE, ConfigError
from flow_singer.files import write_atomic
from flow_singer.plugins.complaints import is_mistake_in_requirements
from flow_singer.plugins.programs import FoundPlugin
from flow_singer.plugins.requirements import Requirements, read_requirements, split_pip_url
from flow_singer.process.processes import describe_end
from flow_singer.process.quietrun import Stop, run_quietly
from flow_singer.project.masking import mask
from flow_singer.project.variables import variables_in

if TYPE_CHECKING:
    from flow_singer.project.definitions import Plugin
    from flow_singer.project.meltanofile import Project
    from flow_singer.project.settings import PluginSettings

FINGERPRINT_FILE = ".meltano_plugin_fingerprint"

_LOOKS_AGAIN_S = 0.2
_finding = threading.Lock()
"""sysconfig, by which uv is found, fails where two threads are the first to ask it at once (Python 3.11)."""


def fingerprint(pip_arguments: Sequence[str], python: str | None) -> str:
    """Return what Meltano 4.4 keeps in an environment to tell that its requirements have not changed."""
    parts = sorted(set(pip_arguments))
    if python and python != sys.executable:
        parts.append(f"python:{python}")
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def ensure_environment(
    project: Project,
    found: FoundPlugin,
    *,
    settings: PluginSettings,
    progress: Callable[[str], None],
    relay: Callable[[str], None] | None = None,
    anew: bool = False,
    stop: Stop | None = None,
) -> bool:
    """Make a plugin's environment with uv, unless it is there and its requirements have not changed.

    Args:
        project: its `.meltano` holds the environments, laid out and marked as Meltano's, so that each tool
            uses what the other installed.
        found: nothing is done for one without `pip_url`.
        settings: their `env` expands variables in `pip_url`.
        progress: gets one line at a time.
        relay: gets those that matter only where something fails; None for `progress`.
        anew: make it even if it is there.
        stop: ends it from another thread.

    Returns:
        Whether it was made.

    Raises:
        TapError, TargetError: uv failed; the last lines that it said are in the message.
        StoppedError: `stop` came before uv began.
        ConfigError: `pip_url` cannot be read, or the packages have no such executable.
    """
    if found.plugin is None or found.venv is None:
        return False
    variables = _variables(project, settings)
    pip_url = found.plugin.pip_url or ""
    arguments = split_pip_url(found.name, pip_url, variables, strict=project.strict_variables)
    python = _interpreter(project, found.plugin)
    mark = fingerprint(arguments, python)
    if not anew and _is_ready(found.venv, found.command[0], mark):
        return False
    requirements = read_requirements(
        found.name,
        arguments,
        environ=project.variables,
        secrets=settings.secrets,
        filled_in={name: variables.get(name, "") for name in variables_in(pip_url)},
    )
    try:
        return _Installation(project, found, found.venv, mark, progress, relay or progress, stop).make(
            requirements, python, anew=anew
        )
    except OSError as exc:
        place = f": {exc.filename}" if exc.filename else ""
        raise found.failure(
            f"{found.name} could not be installed into {found.venv}: {exc.strerror or exc}{place}.",
            "Make room." if exc.errno in (errno.ENOSPC, errno.EDQUOT) else "Mend that and run again.",
        ) from exc


@dataclass(frozen=True)
class _Installation:
    """One environment that is being made.

    Args:
        project, found: whose.
        venv: its folder.
        mark: what it bears when it is whole.
        progress: gets what a person must know meanwhile.
        relay: gets where it is made, and the lines of uv.
        stop: ends uv from another thread.
    """

    project: Project
    found: FoundPlugin
    venv: Path
    mark: str
    progress: Callable[[str], None]
    relay: Callable[[str], None]
    stop: Stop | None

    def make(self, requirements: Requirements, python: str | None, *, anew: bool) -> bool:
        """Make it, unless another process has made it meanwhile; whether it was made."""
        venv, name = self.venv, self.found.name
        venv.parent.mkdir(parents=True, exist_ok=True)
        with open(venv.parent / ".install.lock", "w", encoding="utf-8") as lock:
            if not self._lock(lock):
                self.progress(f"Waiting for another process that installs {name}")
                while not self._lock(lock, blocks=self.stop is None):
                    assert self.stop is not None
                    self.stop.pause(_LOOKS_AGAIN_S)
            if not anew and _is_ready(venv, self.found.command[0], self.mark):
                return False
            make = ["venv", "--no-project", f"--python={python or sys.executable}", str(venv)]
            install = ["pip", "install", "--compile-bytecode", f"--python={venv / 'bin' / 'python'}"]
            steps = (
                Requirements(make, secrets=requirements.secrets),
                replace(requirements, arguments=[*install, *requirements.arguments]),
            )
            self.relay(f"Installing {name} into {venv}")
            _remove(venv)
            for step in steps:
                # were Flow killed, uv would work on: it then keeps the lock as long
                self._run_uv(step, lock=lock.fileno())
            _check_program(self.found, venv)
            write_atomic(
                venv / FINGERPRINT_FILE, self.mark.encode()
            )  # last: nothing looks installed without it
        return True

    @staticmethod
    def _lock(file: IO[str], *, blocks: bool = False) -> bool:
        """Lock it; whether that could be done, where `blocks` is false."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if blocks else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def _run_uv(self, step: Requirements, *, lock: int) -> None:
        found = self.found
        try:
            import uv

            with _finding:
                program = uv.find_uv_bin()
        except (ImportError, FileNotFoundError) as exc:
            raise found.failure(
                f"{found.name} could not be installed: the program uv, which comes with Flow, is not there ({exc}).",
                "Install Flow anew, or the package uv into its environment.",
            ) from exc
        env = {**self.project.variables, **step.variables}
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
            env.pop(name, None)
        with tempfile.TemporaryFile() as lines:  # without a name: gone with the processes that have it open
            lines.write("\n".join(step.lines).encode())
            lines.seek(0)
            code, tail = run_quietly(
                [program, "--color=never", *step.arguments],
                env=env,
                cwd=self.project.root,
                relay=lambda line: self.relay(_without_secrets(line, step.secrets)),
                stdin=lines,
                keep_open=(lock,),
                outlives=True,
                stop=self.stop,
            )
        if code:
            said = _without_secrets("\n".join(tail), step.secrets)
            error = found.failure(
                f"{found.name} could not be installed: uv {describe_end(code, 'ended')}.\n{said}",
                f"Check pip_url and python of {found.name} in meltano.yml, and the network; then run again.",
            )
            if is_mistake_in_requirements(said):
                error.exit_code = EXIT_USAGE
            raise error


def is_installed(project: Project, found: FoundPlugin, *, settings: PluginSettings) -> bool:
    """Whether a run would start a plugin as it is, without making its environment first.

    Args:
        project: see `ensure_environment`.
        found: one without `pip_url` is where its program is.
        settings: see `ensure_environment`.

    Raises:
        ConfigError: `pip_url` cannot be read.
    """
    if found.plugin is None or found.venv is None:
        return True
    arguments = split_pip_url(
        found.name,
        found.plugin.pip_url or "",
        _variables(project, settings),
        strict=project.strict_variables,
    )
    mark = fingerprint(arguments, _interpreter(project, found.plugin))
    return _is_ready(found.venv, found.command[0], mark)


def _variables(project: Project, settings: PluginSettings) -> dict[str, str]:
    """What the variables in a `pip_url` may mean."""
    version = {"MELTANO__PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}"}
    return {**version, **project.variables, **settings.env}


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
