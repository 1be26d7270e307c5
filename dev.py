#!/usr/bin/env python3
"""Every job of this repository, one word each; needs nothing but Python 3.11 or newer.

    python3 dev.py demo         set up, then bundled tap -> transform -> CSV and a Data Package
    python3 dev.py wheel        what is installed: built, looked into, and used outside this clone
    python3 dev.py test         set up, then the tests
    python3 dev.py lint         formatting and lint
    python3 dev.py types        type checks
    python3 dev.py docs         the parts of the documentation that the code says
    python3 dev.py connectors   real taps and targets from PyPI, and the databases on this machine
    python3 dev.py lowest       what values go through, on the oldest supported releases of the dependencies
    python3 dev.py campaign     pipelines whose processes are stopped at random, in its short form
    python3 dev.py bench        the benchmark, in its short form
    python3 dev.py ci           all of them

The environment is .venv; it is made on first use and brought up to date when pyproject.toml has changed.
Further arguments go to the tool: python3 dev.py test -k state -x
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
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
BUNDLED = ("tap_demo", "target_csv", "target_datapackage")


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


JOBS = {
    job.__name__: job
    for job in (demo, wheel, test, lint, types, docs, connectors, campaign, lowest, bench, ci)
}


def main() -> None:
    """Run the job that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in JOBS:
        sys.exit(__doc__)
    set_up()
    JOBS[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    main()
