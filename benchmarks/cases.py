"""What a row of the table is made of: an environment, the commands of a path, its goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import data

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"
SCRIPTS = HERE / "scripts"

Input = Literal[
    "none",
    "messages",
    "file",
    "records",
    "snapshot",
    "csv file",
    "jsonl file",
    "parquet file",
    "csv package",
    "jsonl package",
    "parquet package",
]
Output = Literal["stdout", "lines", "csv", "jsonl", "parquet", "duckdb"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own for one peer.

    Attributes:
        name: of its folder.
        requirements: pinned.
        last: of these, and of what they need, those that are installed once more in the end: two packages
            bring a module of the same name, and this is the one that the peer is written for.
    """

    name: str
    requirements: tuple[str, ...]
    last: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """A limit: `cpu_s` and `rss_mb` at most, the others at least; rates and ratios are by wall time.

    A path may use two cores, and a user waits for the wall clock. What only starts is judged by CPU, which
    another process on the machine does not change.
    """

    quantity: Literal["cpu_s", "gb_per_s", "records_per_s", "ratio", "rss_mb"]
    limit: float
    peer: str = ""

    def __str__(self) -> str:
        match self.quantity:
            case "cpu_s":
                return f"≤ {self.limit:g} s"
            case "rss_mb":
                return f"≤ {self.limit:g} MB"
            case "gb_per_s":
                return f"≥ {self.limit:g} GB/s"
            case "records_per_s":
                return f"≥ {self.limit:,.0f} rec/s"
            case "ratio":
                return f"≥ {self.limit:g}x {self.peer}"

    def is_met(self, value: float) -> bool:
        """Whether a median is within the limit."""
        return value <= self.limit if self.quantity in {"cpu_s", "rss_mb"} else value >= self.limit


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: as the table and `--only` say it.
        environment: where its executables are; None for those of the system.
        stages: one command per process of the pipe; the first item is the name of an executable.
        files: written into the empty folder it runs in, before the clock starts.
        needs: further environments, of programs that the command starts.
        input: how it gets the data: as messages on stdin, in files of its folder (`messages.jsonl`;
            `records.jsonl`, without the envelope; `sync-output/issues.csv`; `issues.csv`, `issues.jsonl`,
            `issues.parquet`; `package/`, a Data Package of these), or not at all.
        shape: of the data, as `data.py` says.
        output: where its records go, so that they can be counted once, untimed: messages (`stdout`) or bare
            records (`lines`) on stdout, or files; None if it writes none.
        shown: added to its last command in that check alone, where it writes the records that it else only counts.
        counted: pattern of the files that hold them, for a command that writes others, too.
        kept: share of the records that it should write.
        added: what it should add to each `comments` that is not null; None: not looked at. For messages on
            stdout.
        compared: whether each value on stdout is to be that of the input: exactly, or as far as the types of the
            peer go (`values.py`).
        until: a file; the wall time ends when it is made, not when the command ends.
        mark: a file; the memory until it is made is told apart.
        peers: names of the cases it is compared with.
        goals: all must hold for "met".
        is_slow: whether it takes so long that it runs once, in the first round.
        in_memory_test: whether `--memory` runs it.
    """

    name: str
    environment: str | None
    stages: tuple[tuple[str, ...], ...]
    files: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    input: Input = "messages"
    shape: str = data.ISSUES
    output: Output | None = "stdout"
    shown: tuple[str, ...] = ()
    counted: str = ""
    kept: float = 1.0
    added: int | None = None
    compared: Literal["", "loosely", "exactly"] = ""
    until: str = ""
    mark: str = ""
    peers: tuple[str, ...] = ()
    goals: tuple[Goal, ...] = ()
    is_slow: bool = False
    in_memory_test: bool = False

    @property
    def environments(self) -> set[str]:
        """All that must have been made."""
        return {*self.needs, *((self.environment,) if self.environment else ())}
