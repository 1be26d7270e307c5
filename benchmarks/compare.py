"""One small job in four tools: a CSV of sales, filtered, one column computed, written as a Data Package and validated.

    python benchmarks/compare.py                            # 1,000 and 100,000 rows, 5 runs
    python benchmarks/compare.py --records 1000000 --runs 1

The code is in `scripts/compare_*.py`, and is what docs/guides/compare.md shows. Results go into `results/compare.json`,
by number of rows, and from there into `results/compare.md`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import environments
import files
import running
from cases import HERE, SCRIPTS, WORK
from measure import CommandError, Sample, measure
from peers import DATAFLOWS, DLT, FLOW
from readers import FRICTIONLESS
from running import note
from values import plain

RESULTS = HERE / "results"
FOLDER = WORK / "compare"
LIMIT_S = 3600.0
KEPT = "EU"
BROKEN_RECORDS, BROKEN_ROW, BROKEN_CELL = 10_000, 7_998, "a lot"  # a row that is kept


@dataclass(frozen=True)
class Tool:
    """One tool.

    Attributes:
        name: of its environment, and in the table.
        file: the name its code has in the folder it runs in.
        command: what a person types there.
    """

    name: str
    file: str
    command: str

    @property
    def code(self) -> str:
        """What the page shows."""
        return (SCRIPTS / f"compare_{self.name}.py").read_text(encoding="utf-8")

    @property
    def lines(self) -> int:
        """Lines that are not empty, with the command."""
        return sum(bool(line.strip()) for line in self.code.splitlines()) + 1


TOOLS = (
    Tool(FLOW, "t.py", "flow run sales.csv t.py out/ --check"),
    Tool(DLT, "sales.py", "python sales.py"),
    Tool(DATAFLOWS, "sales.py", "python sales.py"),
    Tool(FRICTIONLESS, "sales.py", "python sales.py"),
)
TYPED = """flow run sales.csv --config '{"types": {"unit_price": "number"}}' t.py out/ --check"""


def rows(records: int) -> Iterator[dict[str, Any]]:
    """The sales; the same for the same number on every machine."""
    draw = random.Random(1).random
    for number in range(1, records + 1):
        yield {
            "id": number,
            "date": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}",
            "region": (KEPT, "US", "Asia")[number % 3],
            "customer": "" if number % 10 == 0 else f"Customer {int(draw() * 500)}",
            "quantity": int(draw() * 20) + 1,
            "unit_price": f"{int(draw() * 10_000) / 100:.2f}",
        }


def sales(records: int, broken_row: int = 0) -> Path:
    """The file, made once; the price in one row may be no number."""
    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = WORK / "data" / f"sales-{records}-{broken_row}-{digest}.csv"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer: csv.DictWriter[str] = csv.DictWriter(
                file, ["id", "date", "region", "customer", "quantity", "unit_price"]
            )
            writer.writeheader()
            for row in rows(records):
                writer.writerow(row | {"unit_price": BROKEN_CELL} if row["id"] == broken_row else row)
        beside.rename(path)
    return path


def run(tool: Tool, path: Path, command: str = "") -> Sample:
    """Run a tool once, in a new folder which is its home, too: no tool knows anything of a run before.

    Raises:
        CommandError: it failed.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "sales.csv").symlink_to(path)
    (FOLDER / tool.file).write_text(tool.code, encoding="utf-8")
    environ = environments.clean_environ(
        FOLDER,
        WORK / "venvs" / tool.name / "bin",
    )
    environ["DLT_DATA_DIR"] = str(FOLDER / ".dlt")  # root's is not below its home
    environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # no message to anybody while the clock runs
    return measure(
        [("/bin/sh", "-c", f"exec {command or tool.command}")],
        stdin=Path(os.devnull),
        stdout=Path(os.devnull),
        cwd=FOLDER,
        env=environ,
        limit_s=LIMIT_S,
    )


def written() -> dict[int, dict[str, Any]]:
    """What the last run wrote, by id, whatever folder its one file is in; columns of a tool's own left out.

    Raises:
        CommandError: there is not one file.
    """
    found = [one for one in (FOLDER / "out").rglob("*.csv*") if one.is_file()]
    if len(found) != 1:
        raise CommandError(f"wrote {len(found)} files of CSV")
    opened = gzip.open if found[0].suffix == ".gz" else open
    with opened(found[0], "rt", encoding="utf-8", newline="") as file:
        return {
            int(row["id"]): {key: plain(value) for key, value in row.items() if not key.startswith("_dlt")}
            for row in csv.DictReader(file)
        }


def wanted(records: int) -> dict[int, dict[str, Any]]:
    """What should be written, computed with decimals."""
    return {
        row["id"]: {key: plain(str(value)) for key, value in row.items()}
        | {"total": row["quantity"] * Decimal(row["unit_price"])}
        for row in rows(records)
        if row["region"] == KEPT
    }


def check(tool: Tool, records: int) -> None:
    """Run a tool once, untimed, and look at every value.

    Raises:
        CommandError: it failed, or a value is another than it should be.
    """
    run(tool, sales(records))
    ours, theirs = wanted(records), written()
    if ours.keys() != theirs.keys():
        raise CommandError(f"{tool.name} wrote {len(theirs):,} rows, not {len(ours):,}, or other ones")
    for number, row in ours.items():
        if theirs[number] != row:
            raise CommandError(f"{tool.name}, id {number}: wrote {theirs[number]}, not {row}")


def types() -> dict[str, str]:
    """The types that the last run wrote down: of a Data Package, or of dlt's schema."""
    for descriptor in (FOLDER / "out").rglob("datapackage.json"):
        fields = json.loads(descriptor.read_text())["resources"][0]["schema"]["fields"]
        return {one["name"]: one["type"] for one in fields}
    for version in (FOLDER / "out").rglob("_dlt_version/*.jsonl"):
        columns = json.loads(json.loads(version.read_text())["schema"])["tables"]["sales"]["columns"]
        return {one["name"]: one["data_type"] for one in columns.values()}
    return {}


def broken() -> dict[str, str]:
    """What becomes of a price that is no number, by command."""
    path = sales(BROKEN_RECORDS, BROKEN_ROW)
    ends = {}
    for tool, command in (*((tool, tool.command) for tool in TOOLS), (TOOLS[0], TYPED)):
        name = tool.name if command == tool.command else f"{tool.name}, with the type named"
        note(f"a broken cell: {name}")
        try:
            run(tool, path, command)
        except CommandError:
            ends[name] = "stopped with an error"
        else:
            found = written()
            empty = sum(row["total"] is None for row in found.values())
            right = sum(
                row.items() <= found[number].items()
                for number, row in wanted(BROKEN_RECORDS).items()
                if number != BROKEN_ROW
            )
            ends[name] = (
                f"ended with 0; of the {len(found) - 1:,} totals of other rows {right:,} are right; {empty:,} of "
                f"all are empty"
            )
    return ends


def as_table(found: dict[str, Any]) -> str:
    """The table of the page: seconds by tool and number of rows."""
    sizes = sorted(map(int, found["sizes"]))
    head = ["", "lines", *(f"{size:,} rows" for size in sizes), f"MB at {sizes[-1]:,}"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for tool in TOOLS:
        cells = [f"{tool.name} {found['versions'][tool.name]}", str(tool.lines)]
        for size in sizes:
            runs = found["sizes"][str(size)]["runs"][tool.name]
            walls = [one["wall_s"] for one in runs]
            cpu = median(one["cpu_s"] for one in runs)
            cells.append(f"{median(walls):.1f} ({min(walls):.1f}) / {cpu:.1f}")
        last = found["sizes"][str(sizes[-1])]["runs"][tool.name]
        lines.append([*cells, f"{max(one['rss_mb'] for one in last):.0f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the job; 0 when all tools wrote what they should."""
    parser = argparse.ArgumentParser(prog="benchmarks/compare.py", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[1_000, 100_000], help="rows of the file")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each tool (default 5)")
    options = parser.parse_args(argv)
    running.use_two_cores()
    problems = running.make_environments(tool.name for tool in TOOLS)
    if problems:
        note(str(problems))
        return 1
    kept = RESULTS / "compare.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"sizes": {}}
    about = running.about(tool.name for tool in TOOLS)
    package = {FLOW: "flow-singer"}
    found["versions"] = {
        tool.name: about["versions"][tool.name][package.get(tool.name, tool.name)] for tool in TOOLS
    }
    found["types"] = {}
    for size in options.records:
        for tool in TOOLS:
            note(f"check at {size:,} rows: {tool.name}")
            check(tool, size)
            found["types"][tool.name] = types()
        runs: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in TOOLS}
        files.read_into_cache(sales(size))
        for number in range(options.runs):
            for tool in TOOLS:
                note(f"run {number + 1} of {options.runs} at {size:,} rows: {tool.name}")
                runs[tool.name].append(asdict(run(tool, sales(size))))
        found["sizes"][str(size)] = {
            **{key: about[key] for key in ("date", "flow", "machine", "python", "load_before")},
            "load_after": f"{os.getloadavg()[0]:.1f}",
            "runs": runs,
        }
    found["broken"] = broken()
    kept.write_text(json.dumps(found, indent=2) + "\n")
    table = as_table(found)
    ends = "\n".join(f"- {name}: {end}" for name, end in found["broken"].items())
    sizes = "\n".join(
        f"- {int(size):,} rows: {len(one['runs'][FLOW])} interleaved run(s), {one['date']}, Flow {one['flow']}, "
        f"{one['machine']}, Python {one['python']}, load {one['load_before']} to {one['load_after']}"
        for size, one in found["sizes"].items()
    )
    (RESULTS / "compare.md").write_text(
        f"Seconds of the whole command: median (least) / CPU. MB: the largest process.\n\n{table}\n\n{sizes}\n\n"
        f"One price of {BROKEN_RECORDS:,}, in row {BROKEN_ROW:,}, is `{BROKEN_CELL}`:\n\n{ends}\n"
    )
    print(table, ends, sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
