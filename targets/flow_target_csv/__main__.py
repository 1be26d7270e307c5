"""The command `target-csv`, also as `python -m flow_target_csv`."""

from __future__ import annotations

from typing import Any


def _target() -> Any:
    from flow_target_csv.target import TargetCSV

    return TargetCSV


def main() -> None:
    """Run the target's command line."""
    from flow_singer.datapackage.sdktarget import run_target

    run_target("target-csv", _target)


if __name__ == "__main__":
    main()
