"""The command `tap-demo`, also as `python -m flow_tap_demo`."""

from __future__ import annotations

from typing import Any


def _tap() -> Any:
    from flow_tap_demo.tap import TapDemo

    return TapDemo


def main() -> None:
    """Run the tap's command line."""
    from flow_singer.datapackage.sdktap import run_tap

    run_tap("tap-demo", _tap)


if __name__ == "__main__":
    main()
