"""Check a package against its own schema, with frictionless: types, constraints, keys, hashes, row counts."""

from __future__ import annotations

from pathlib import Path

from flow_singer.errors import DataError

SHOWN = 5


def check_package(folder: Path) -> None:
    """Validate a package.

    Args:
        folder: holds its `datapackage.json`; the data are CSV or JSON Lines.

    Raises:
        DataError: it is not valid; names resource, row and field of the first faults.
    """
    import frictionless

    report = frictionless.validate(str(folder / "datapackage.json"))
    if report.valid:
        return
    faults = [("package", error) for error in report.errors]
    faults += [(f"resource '{task.name}'", error) for task in report.tasks for error in task.errors]
    told = []
    for where, error in faults[:SHOWN]:
        row, field = getattr(error, "row_number", None), getattr(error, "field_name", None)
        place = where + (f", row {row}" if row else "") + (f", field '{field}'" if field else "")
        told.append(f"{place}: {error.message}")
    more = f"\n… and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    raise DataError(
        "The package is not valid, so it was not published:\n" + "\n".join(told) + more,
        "Correct the values in a function, or the types in its Table Schema; --check looks again.",
    )
