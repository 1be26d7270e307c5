"""The command `target-datapackage`, also as `python -m flow_target_datapackage`."""

from __future__ import annotations

from typing import Any


def _target() -> Any:
    from flow_target_datapackage.target import TargetDataPackage

    return TargetDataPackage


def main() -> None:
    """Run the target's command line."""
    from flow_singer.datapackage.sdktarget import run_target

    run_target("target-datapackage", _target)


if __name__ == "__main__":
    main()
