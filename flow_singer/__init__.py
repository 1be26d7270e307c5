"""Flow: Singer taps and targets with pandas in the middle.

What this package exports is its public API; the modules in its folders are not. Names are imported when they
are first used, so that a command imports only what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flow_singer.checks.decorator import expect as expect
    from flow_singer.errors import BusyError as BusyError
    from flow_singer.errors import ConfigError as ConfigError
    from flow_singer.errors import DataError as DataError
    from flow_singer.errors import FlowError as FlowError
    from flow_singer.errors import IncompleteError as IncompleteError
    from flow_singer.errors import MessageError as MessageError
    from flow_singer.errors import RecordError as RecordError
    from flow_singer.errors import TapError as TapError
    from flow_singer.errors import TargetError as TargetError
    from flow_singer.errors import TransformError as TransformError
    from flow_singer.transforms.drops import DROP as DROP
    from flow_singer.transforms.functions import transform as transform
    from flow_singer.transforms.runpackage import Package as Package

__version__ = "0.1.0"

_HOMES = {
    "BusyError": "flow_singer.errors",
    "ConfigError": "flow_singer.errors",
    "DROP": "flow_singer.transforms.drops",
    "DataError": "flow_singer.errors",
    "FlowError": "flow_singer.errors",
    "IncompleteError": "flow_singer.errors",
    "MessageError": "flow_singer.errors",
    "Package": "flow_singer.transforms.runpackage",
    "RecordError": "flow_singer.errors",
    "TapError": "flow_singer.errors",
    "TargetError": "flow_singer.errors",
    "TransformError": "flow_singer.errors",
    "expect": "flow_singer.checks.decorator",
    "transform": "flow_singer.transforms.functions",
}

__all__ = [
    "DROP",
    "BusyError",
    "ConfigError",
    "DataError",
    "FlowError",
    "IncompleteError",
    "MessageError",
    "Package",
    "RecordError",
    "TapError",
    "TargetError",
    "TransformError",
    "__version__",
    "expect",
    "transform",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
