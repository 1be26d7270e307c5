"""Flow: Singer taps and targets with pandas in the middle.

Names are imported when they are first used, so that a command imports only what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flow_singer.errors import FlowError as FlowError
    from flow_singer.transforms.drops import DROP as DROP
    from flow_singer.transforms.functions import transform as transform
    from flow_singer.transforms.runpackage import Package as Package

__version__ = "0.1.0"

_HOMES = {
    "DROP": "flow_singer.transforms.drops",
    "FlowError": "flow_singer.errors",
    "Package": "flow_singer.transforms.runpackage",
    "transform": "flow_singer.transforms.functions",
}

__all__ = ["DROP", "FlowError", "Package", "__version__", "transform"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
