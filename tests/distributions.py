"""Whether the built distributions are whole and work: `python tests/distributions.py FOLDER` with what `uv build` made.

- Both hold the files of the clone that they should, and no others. The clone's files are those that git tracks.
- The wheel is installed into a fresh environment, without what only developers need, and used there outside the
  clone: the command, each bundled connector, a new project, the pipe of the README.

`python3 dev.py wheel` builds into a temporary folder and calls this.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from command import TIME
from pages import Block, blocks
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
FOREIGN_VARIABLES = ("FLOW_", "MELTANO", "TAP_", "TARGET_", "PYTHON", "VIRTUAL_ENV")
_TIMEOUT_S = 300


class Fault(Exception):
    """A distribution is not as it should be."""


# --------------------------------------------------------------------------------------- what they hold


def in_wheel(file: str) -> str | None:
    """Where the wheel has a file of the clone; None if it has not.

    Connectors lie beside each other in `taps/` and `targets/`; installed, each is a package of its own.
    """
    folder, _, rest = file.partition("/")
    if folder in ("taps", "targets"):
        return rest
    return file if folder == "flow_singer" else None


def in_sdist(file: str) -> bool:
    """Whether the sdist has a file of the clone.

    It has what is needed to read, build and test Flow. That is not what only the hosting of the repository needs
    (hidden files; but the build reads .gitignore), nor what the benchmarks measured on one machine.
    """
    if file.startswith("."):
        return file == ".gitignore"
    return not file.startswith("benchmarks/results/")


def described(project: dict[str, Any]) -> set[str]:
    """What a wheel has besides its packages, for a `[project]` table of pyproject.toml."""
    folder = f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    names = ["METADATA", "RECORD", "WHEEL", "entry_points.txt"]
    return {f"{folder}/{name}" for name in [*names, *(f"licenses/{one}" for one in project["license-files"])]}


def check_files(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Compare the names of files.

    Raises:
        Fault: with each name that is missing, more than there should be, or there twice.
    """
    found = list(found)
    wanted = set(expected)
    faults = [f"  missing: {name}" for name in sorted(wanted.difference(found))]
    faults += [f"  not tracked, or not meant to be in it: {name}" for name in sorted(set(found) - wanted)]
    faults += [f"  twice: {name}" for name in sorted({name for name in found if found.count(name) > 1})]
    if faults:
        raise Fault(f"The files of the {what} are wrong.\n" + "\n".join(faults))


def check_wheel(wheel: Path, tracked: Collection[str], project: dict[str, Any]) -> None:
    """Check the wheel's files and its entry points.

    Raises:
        Fault: they are not those of the clone.
    """
    packaged = [place for file in tracked if (place := in_wheel(file))]
    with zipfile.ZipFile(wheel) as archive:
        check_files("wheel", archive.namelist(), described(project).union(packaged))
        (entries,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        parser = configparser.ConfigParser()
        parser.read_string(archive.read(entries).decode())
    said = {section: dict(parser[section]) for section in parser.sections()}
    if said != {"console_scripts": project["scripts"]}:
        raise Fault(f"The wheel's entry points are {said}; pyproject.toml says {project['scripts']}.")


def check_sdist(sdist: Path, tracked: Collection[str], project: dict[str, Any]) -> None:
    """Check the sdist's files.

    Raises:
        Fault: they are not those of the clone.
    """
    folder = f"{project['name'].replace('-', '_')}-{project['version']}"
    expected = ["PKG-INFO", *filter(in_sdist, tracked)]
    with tarfile.open(sdist) as archive:
        found = [member.name for member in archive.getmembers() if not member.isdir()]
    check_files("sdist", found, [f"{folder}/{name}" for name in expected])


# -------------------------------------------------------------------------------------------- their use


class Installed:
    """The wheel in a fresh environment.

    Args:
        wheel: the file.
        place: an empty folder outside the clone.
    """

    def __init__(self, wheel: Path, place: Path) -> None:
        self._bin = place / "environment" / "bin"
        self.folder = place / "work"
        self.folder.mkdir()
        self._env = self._environ(place)
        uv = find_uv_bin()
        self.run(uv, "venv", "--quiet", "--python", sys.executable, str(self._bin.parent))
        self.run(uv, "pip", "install", "--quiet", "--python", str(self._bin.parent), str(wheel))

    def _environ(self, place: Path) -> dict[str, str]:
        """This process's variables without those that would bring the clone in."""
        path = os.environ.get("PATH", os.defpath).split(os.pathsep)
        outside = [one for one in path if not Path(one).resolve().is_relative_to(ROOT)]
        kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        return kept | {"PATH": os.pathsep.join([str(self._bin), *outside]), "TMPDIR": str(place)}

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command and return its stdout.

        Raises:
            Fault: it failed.
        """
        program = shutil.which(command[0], path=self._env["PATH"])
        if program is None:
            raise Fault(f"`{command[0]}` is not in the fresh environment.")
        done = subprocess.run(
            [program, *command[1:]],
            cwd=cwd or self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise Fault(f"`{' '.join(command)}` ended with {done.returncode} and said:\n{said}")
        return done.stdout

    def check_imports(self, packages: Iterable[str]) -> None:
        """Each package must come from the fresh environment, not from the clone."""
        for name in packages:
            file = Path(self.run("python", "-c", f"import {name}; print({name}.__file__)").strip())
            if not file.is_relative_to(self._bin.parent):
                raise Fault(f"{name} is imported from {file}, which is not in the fresh environment.")

    def check_command(self) -> None:
        """The command must start."""
        if "Usage: flow" not in (said := self.run("flow", "--help")):
            raise Fault(f"`flow --help` said:\n{said}")

    def check_connector(self, name: str) -> None:
        """A bundled connector must start and say who it is."""
        said = self.run(name, "--about", "--format=json")
        if json.loads(said)["name"] != name:
            raise Fault(f"`{name} --about --format=json` said:\n{said}")

    def check_readme(self, page: Path) -> None:
        """A new project must run what the README shows, with the README's function, and print the same."""
        self.run("flow", "init", "demo")
        (function,) = (block.text for block in blocks(page) if block.language == "python")
        (self.folder / "demo" / "issues.py").write_text(function, encoding="utf-8")
        for block in (block for block in blocks(page) if block.is_run):
            self._check_block(block)

    def _check_block(self, block: Block) -> None:
        parts = [part.partition("\n") for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]]
        shown = [(command, output) for command, _, output in parts if not command.startswith("cd ")]
        script = "\n".join(["exec 2>&1", *(command for command, _ in shown)])
        said = TIME.sub("", self.run("bash", "--noprofile", "--norc", "-c", script, cwd=self.folder / "demo"))
        wanted = "".join(output for _, output in shown)
        if not re.fullmatch(re.escape(wanted).replace("…", ".*?"), said):
            raise Fault(f"README.md:{block.line} shows:\n{wanted}\nand the installed wheel printed:\n{said}")


# --------------------------------------------------------------------------------------------- together


def check(folder: Path, tracked: Collection[str], project: dict[str, Any]) -> None:
    """Check what `uv build` put into a folder.

    Raises:
        Fault: something is wrong; nothing further was looked at.
    """
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    check_sdist(sdist, tracked, project)
    print(f"{sdist.name} has the files that it should.", flush=True)
    check_wheel(wheel, tracked, project)
    print(f"{wheel.name} has the files that it should.", flush=True)
    packages = sorted({place.partition("/")[0] for file in tracked if (place := in_wheel(file))})
    with tempfile.TemporaryDirectory(prefix="flow-installed-") as place:
        installed = Installed(wheel, Path(place).resolve())
        installed.check_imports(packages)
        installed.check_command()
        for name in packages:
            if name.startswith(("flow_tap_", "flow_target_")):
                installed.check_connector(name.removeprefix("flow_").replace("_", "-"))
        installed.check_readme(ROOT / "README.md")
    print("Installed outside the clone, it does what the README shows.", flush=True)


def main() -> None:
    """Check the distributions in the folder that the first argument names."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        check(Path(sys.argv[1]), listed.stdout.rstrip("\0").split("\0"), project)
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
