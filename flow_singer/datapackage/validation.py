"""Check a package against its own schema, with frictionless: types, constraints, keys, hashes, row counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_singer.errors import DataError

SHOWN = 5


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a package.

    Attributes:
        resource: of which resource; None of the package itself.
        row: number of the row, as frictionless counts them: in CSV, the header is the first.
        field: name of the field.
        message: what frictionless says.
        kind: what it calls such a fault, as `constraint-error`.
        note: the part of its message that says what is wrong, without the place.
        cell: the text of the cell.
    """

    resource: str | None
    row: int | None
    field: str | None
    message: str
    kind: str = ""
    note: str = ""
    cell: str | None = None

    def sentence(self) -> str:
        """`resource 's', row 3, field 'state': …`"""
        where = "package" if self.resource is None else f"resource '{self.resource}'"
        where += f", row {self.row}" if self.row else ""
        where += f", field '{self.field}'" if self.field else ""
        return f"{where}: {self.message}"


def package_faults(descriptor: Path, most: int | None = None) -> list[Fault]:
    """What frictionless finds wrong with a package.

    Args:
        descriptor: its `datapackage.json`; the data are CSV or JSON Lines.
        most: how many faults of each resource are enough.
    """
    import frictionless

    place = str(descriptor)
    report = frictionless.validate(place) if most is None else frictionless.validate(place, limit_errors=most)
    found: list[tuple[str | None, Any]] = [(None, error) for error in report.errors]
    found += [(task.name, error) for task in report.tasks for error in task.errors]
    return [
        Fault(
            resource,
            getattr(error, "row_number", None),
            getattr(error, "field_name", None),
            error.message,
            error.type,
            error.note,
            getattr(error, "cell", None),
        )
        for resource, error in found
    ]


def check_package(folder: Path) -> None:
    """Validate a package.

    Args:
        folder: holds its `datapackage.json`; the data are CSV or JSON Lines.

    Raises:
        DataError: it is not valid; names resource, row and field of the first faults.
    """
    faults = package_faults(folder / "datapackage.json")
    if not faults:
        return
    told = [one.sentence() for one in faults[:SHOWN]]
    more = f"\n… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    raise DataError(
        "The package is not valid, so it was not published:\n" + "\n".join(told) + more,
        "Correct the values in a function, or the types in its Table Schema; --check looks again.",
    )
