#!/usr/bin/env python3
"""Every job of this repository, one word each; needs nothing but Python 3.11 or newer.

    python3 dev.py demo         set up, then bundled tap -> transform -> CSV and a Data Package
    python3 dev.py wheel        what is installed: built, looked into, and used outside this clone
    python3 dev.py test         set up, then the tests
    python3 dev.py check FILE…  format, lint, type-check and test what you changed, within a minute or so
    python3 dev.py lint         formatting and lint
    python3 dev.py types        type checks
    python3 dev.py docs         the parts of the documentation that the code says
    python3 dev.py connectors   real taps and targets from PyPI, and the databases on this machine
    python3 dev.py lowest       what values go through, on the oldest supported releases of the dependencies
    python3 dev.py campaign     pipelines whose processes are stopped at random, in its short form
    python3 dev.py bench        the benchmark, in its short form
    python3 dev.py ci           all of them

Without FILE, `check` takes the files that differ from HEAD. `ci` leaves it out, as it does all of it anyway.
The environment is .venv; it is made on first use and brought up to date when pyproject.toml has changed.
Further arguments go to the tool: python3 dev.py test -k state -x
"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
EXAMPLE = ROOT / "examples" / "quickstart"
LOWEST = ROOT / ".venv-lowest"
FIDELITY = (
    "cases/test_toast_columns.py",
    "tabular/test_parallel.py",
    "singer/test_batchfiles.py",
    "datapackage/test_sink.py",
    "datapackage/test_formats.py",
    "transforms/test_functions.py",
    "test_imports.py",
    "singer/test_messages.py",
    "tabular/test_nested.py",
    "datapackage/test_parquettypes.py",
    "tabular/test_roundtrip.py",
    "singer/test_schema.py",
    "tabular/test_steady_types.py",
    "tabular/test_frames.py",
    "tabular/test_values.py",
    "conformance/test_transform.py",
)
BUNDLED = ("tap_datapackage", "tap_demo", "target_csv", "target_datapackage")
CHECK_S = 47  # with mypy and the start of pytest, less than a minute
SHORT_S = 1
LONG_S = {  # test files by the seconds they take with two processes on two cores that do nothing else; the rest is short
    "cli/test_commands.py": 13,
    "cli/test_install.py": 16,
    "cli/test_mistakes.py": 40,
    "cli/test_options.py": 18,
    "cli/test_screen.py": 14,
    "cli/test_words.py": 7,
    "conformance/test_load.py": 16,
    "conformance/test_run.py": 15,
    "conformance/test_transform.py": 32,
    "connectors/test_tap_demo.py": 14,
    "connectors/test_target_csv.py": 33,
    "connectors/test_target_datapackage.py": 3,
    "datapackage/test_formats.py": 22,
    "datapackage/test_sink.py": 4,
    "integration/test_impossible.py": 16,
    "integration/test_settings_refused.py": 30,
    "plugins/test_process_variables.py": 10,
    "plugins/test_typed_secrets.py": 9,
    "project/test_declared.py": 17,
    "project/test_masking.py": 6,
    "singer/test_batchfiles.py": 13,
    "stages/test_rejects.py": 6,
    "state/test_bookmarks.py": 17,
    "tabular/test_parallel.py": 8,
    "tabular/test_roundtrip.py": 3,
    "tabular/test_steady_types.py": 5,
    "tabular/test_unread.py": 4,
    "targets/test_growing.py": 10,
    "test_docs.py": 36,
    "test_examples.py": 9,
    "test_imports.py": 3,
    "transforms/test_drops.py": 3,
    "transforms/test_forks.py": 14,
    "transforms/test_missed.py": 16,
    "transforms/test_raised.py": 14,
    "transforms/test_splitcheck.py": 4,
}


def set_up() -> None:
    """Make .venv, unless it is there and pyproject.toml has not changed."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this very script is what an older Python would run
        sys.exit(f"Flow needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    mark = VENV / "set-up"
    if mark.exists() and mark.read_text() == wanted:
        return
    print("Setting up .venv (once) ...", file=sys.stderr)
    venv.create(VENV, with_pip=True, clear=VENV.exists())
    run([BIN / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"])
    groups = [word for group in ("dev", "lint", "typing") for word in ("--group", group)]
    install: list[str | Path] = [BIN / "uv", "pip", "install", "--quiet", "--compile-bytecode"]
    run([*install, "--python", BIN / "python", *groups, "--editable", "."])
    mark.write_text(wanted)


def run(command: list[str | Path], *, cwd: Path = ROOT, **variables: str) -> None:
    """Run a command; the first that fails ends this script with its exit code."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    env |= {"PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}", "VIRTUAL_ENV": str(VENV)}
    code = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env | variables, check=False
    ).returncode
    if code:
        sys.exit(code)


def show(command: list[str | Path]) -> None:
    """Show a command and run it."""
    program, *words = map(str, command)
    print(f"\n$ {shlex.join([Path(program).name, *words])}", flush=True)
    run(command)


def shell(line: str, cwd: Path) -> None:
    """Show a command line and run it."""
    print(f"\n$ {line}", flush=True)
    run(["bash", "-c", line], cwd=cwd)


def demo(_: list[str]) -> None:
    """The main job on embedded defaults, with its result shown."""
    for name in ("output", "package", ".meltano"):
        shutil.rmtree(EXAMPLE / name, ignore_errors=True)
    shell("cat issues.py", EXAMPLE)
    shell("flow run tap-demo | flow transform issues.py | flow load target-csv", EXAMPLE)
    shell("ls -l output && head -3 output/issues.csv", EXAMPLE)
    shell("flow run tap-demo issues.py package/", EXAMPLE)
    shell("find package -type f | sort && frictionless validate package/datapackage.json | tail -9", EXAMPLE)
    print("\nIt is all in examples/quickstart/.")


def wheel(_: list[str]) -> None:
    """Build the sdist and the wheel; see that they are whole, and that the wheel works without this clone."""
    with tempfile.TemporaryDirectory(prefix="flow-built-") as folder:
        run([BIN / "uv", "build", "--quiet", "--python", BIN / "python", "--out-dir", folder])
        run([BIN / "python", "tests/distributions.py", folder])


def test(arguments: list[str]) -> None:
    """The tests; those that need a server or connectors from PyPI are skipped where these are not asked for."""
    run([BIN / "python", "-m", "pytest", *(arguments or ["-q", "-n", "auto"])])


def check(arguments: list[str]) -> None:
    """Format, lint and type-check, then the tests of the given files, or of those that differ from HEAD."""
    started = time.monotonic()
    known = git("ls-files", "--cached", "--others", "--exclude-standard")
    files = named(arguments, known) if arguments else changed()
    if not files:
        print("Nothing differs from HEAD. To check other files, name them: python3 dev.py check FILE…")
        return
    there = [file for file in known if is_test(file) and (ROOT / file).exists()]
    tests, left = within(tests_of(files, there), CHECK_S)
    if left:
        print(f"Not run, to stay within a minute: python3 dev.py test -q -n auto {' '.join(left)}")
    if untested := [file for file in files if not tests_of([file], there)]:
        print(f"No tests are known for: {' '.join(untested)}")
    if python := [file for file in files if file.endswith(".py") and (ROOT / file).exists()]:
        show([BIN / "ruff", "format", *python])
        show([BIN / "ruff", "check", *python])
    show([BIN / "mypy"])
    if tests:
        show([BIN / "python", "-m", "pytest", "-q", "-n", "auto", *tests])
    done = ["format", "lint", "types"] if python else ["types"]
    counts = f"test files run: {len(tests)}, left out: {len(left)}"
    print(f"\nChecked in {time.monotonic() - started:.0f} s: {', '.join(done)}; {counts}.")


def lint(_: list[str]) -> None:
    """Formatting and lint."""
    run([BIN / "ruff", "format", "--check", "."])
    run([BIN / "ruff", "check", "."])


def types(_: list[str]) -> None:
    """Type checks."""
    run([BIN / "mypy"])


def docs(_: list[str]) -> None:
    """The generated parts of the documentation, written anew."""
    run([BIN / "python", "docs/generate.py"])


def connectors(arguments: list[str]) -> None:
    """Real taps and targets from PyPI, one test at a time, as they share one folder of installed plugins."""
    bundled = [f"--ignore=tests/connectors/test_{name}.py" for name in BUNDLED]
    run(
        [BIN / "python", "-m", "pytest", "tests/connectors", *bundled, *(arguments or ["-q"])],
        FLOW_TEST_CONNECTORS="1",
        FLOW_REQUIRE_SERVICES="1",
    )


def lowest(arguments: list[str]) -> None:
    """The tests of values, with the oldest release that pyproject.toml allows of each dependency."""
    python = LOWEST / "bin" / "python"
    install: list[str | Path] = [BIN / "uv", "pip", "install", "--quiet", "--python", python]
    run([BIN / "uv", "venv", "--quiet", "--clear", "--python", BIN / "python", LOWEST])
    run([*install, "--resolution", "lowest-direct", "--editable", "."])
    run([*install, "--group", "dev"])
    files = [f"tests/{name}" for name in FIDELITY]
    run([python, "-m", "pytest", *files, *(arguments or ["-q", "-n", "auto"])])


def campaign(arguments: list[str]) -> None:
    """Pipelines whose processes are stopped at random; with the targets that `connectors` has installed."""
    installed = ROOT / ".pytest_cache" / "d" / "connectors" / "direct"
    run([BIN / "python", "tests/campaign.py", "--connectors", installed, *(arguments or ["--kills", "25"])])


def bench(arguments: list[str]) -> None:
    """The benchmarks in their short form, which assert nothing about time."""
    run([BIN / "python", "benchmarks/run.py", *(arguments or ["--quick"])])
    if not arguments:
        run([BIN / "python", "benchmarks/whole.py", "--quick"])


def ci(_: list[str]) -> None:
    """Everything, the README's own commands first."""
    for job in (test, demo, wheel, lint, types, connectors, campaign, lowest, bench):
        print(f"\n=== {job.__name__}", flush=True)
        job([])


# ------------------------------------------------------------------------- which tests `check` runs


def changed() -> list[str]:
    """The files that differ from HEAD, those that are new to git included."""
    differing = git("diff", "--name-only", "--no-renames", "HEAD")
    return sorted({*differing, *git("ls-files", "--others", "--exclude-standard")})


def git(*words: str) -> list[str]:
    """The files that a command of git lists, relative to the clone."""
    done = subprocess.run(["git", *words, "-z"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.split("\0")[:-1]


def named(words: list[str], known: Collection[str]) -> list[str]:
    """The files that are meant, relative to the clone; a folder means all that are in it."""
    files: list[str] = []
    for word in words:
        path = Path(os.path.relpath(word, ROOT)).as_posix()
        found = [file for file in known if path in (".", file) or file.startswith(f"{path}/")]
        if not found:
            near = near_file(path, known)
            sys.exit(f"{word} is no file of this clone.{f' Did you mean {near}?' if near else ''}")
        files += found
    return list(dict.fromkeys(files))


def near_file(path: str, known: Collection[str]) -> str | None:
    """The file that may have been meant: one of the same name elsewhere, else one with a similar path or name."""
    by_name = {file.rpartition("/")[2]: file for file in known}
    name = path.rpartition("/")[2]
    if name in by_name:
        return by_name[name]
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.8)
    near += [by_name[one] for one in difflib.get_close_matches(name, by_name, n=1)]
    return near[0] if near else None


def is_test(file: str) -> bool:
    """Whether pytest collects this file."""
    return file.startswith("tests/") and file.rpartition("/")[2].startswith("test_") and file.endswith(".py")


def tests_of(files: Collection[str], there: Collection[str]) -> list[str]:
    """Choose the tests of some files.

    Args:
        files: relative to the clone, with `/`.
        there: every test file that exists.

    Returns:
        First what each file has for itself: the file, if it is a test, or the test that is named after it, with
        those that look at the whole package. Then the other tests of the rooms that the files are in.
    """
    own = [test for file in files for test in own_tests(file) if test in there]
    folders = tuple(f"tests/{room}/" for file in files if (room := room_of(file)))
    return list(dict.fromkeys([*own, *(test for test in sorted(there) if test.startswith(folders))]))


def own_tests(file: str) -> list[str]:
    """The tests that a file has for itself, the nearest first, whether they exist or not."""
    named = f"test_{Path(file).stem.lstrip('_')}.py"
    match file.split("/"):
        case ["flow_singer", _]:
            return [f"tests/{named}", "tests/test_imports.py", "tests/test_public_api.py"]
        case ["flow_singer", "scaffold", *_]:  # a new project is made, and run as the quickstart says
            return ["tests/test_imports.py", "tests/integration/test_impossible.py", "tests/test_docs.py"]
        case ["flow_singer", room, *_]:
            return [f"tests/{room}/{named}", "tests/test_imports.py"]
        case ["taps" | "targets" as folder, package, *_]:
            connector = f"tests/connectors/test_{package.removeprefix('flow_')}.py"
            return [f"tests/{folder}/{named}", connector, "tests/test_imports.py"]
        case ["tests", "rooms.py"]:
            return ["tests/test_imports.py", "tests/test_docs.py"]
        case ["tests", *_]:
            return [file, f"tests/{named}"]
        case ["docs", *_]:
            return ["tests/test_docs.py"]
        case ["examples", *_]:
            return ["tests/test_examples.py", "tests/test_docs.py"]
        case ["pyproject.toml"]:
            return ["tests/test_public_api.py"]
        case [_] if file.endswith(".md"):
            return ["tests/test_docs.py"]
    return [f"tests/{named}"]


def room_of(file: str) -> str | None:
    """The folder of tests/ that mirrors the one of a file."""
    match file.split("/"):
        case ["flow_singer", room, _, *_]:
            return room
        case ["targets", "flow_target_csv", *_]:
            return "targets"
    return None


def within(tests: Collection[str], seconds: float) -> tuple[list[str], list[str]]:
    """Divide tests into those that fit into a time, the first of them in any case, and the rest."""
    taken: list[str] = []
    for test in tests:
        if not taken or sum(map(duration_s, taken)) + duration_s(test) <= seconds:
            taken.append(test)
    return taken, [test for test in tests if test not in taken]


def duration_s(test: str) -> float:
    """About how long a test file takes."""
    return LONG_S.get(test.removeprefix("tests/"), SHORT_S)


# ------------------------------------------------------------------------------------------------ start

JOBS = {
    job.__name__: job
    for job in (demo, wheel, test, check, lint, types, docs, connectors, campaign, lowest, bench, ci)
}


def main() -> None:
    """Run the job that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in JOBS:
        sys.exit(__doc__)
    set_up()
    JOBS[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    main()
