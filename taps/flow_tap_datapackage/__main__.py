"""The command `tap-datapackage`, also as `python -m flow_tap_datapackage`."""

from __future__ import annotations

from typing import Any


def _tap() -> Any:
    from flow_tap_datapackage.tap import TapDataPackage

    return TapDataPackage


def main() -> None:
    """Run the tap's command line."""
    from flow_singer.datapackage.sdktap import run_tap

    run_tap("tap-datapackage", _tap, has_columns=True)


if __name__ == "__main__":
    main()
