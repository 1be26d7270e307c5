"""Whether a target may commit what came of a stream that did not come to its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.stages.inputstream import LoadOptions

logger = logging.getLogger(__name__)


def may_commit(target: PreparedPlugin, options: LoadOptions) -> bool:
    """Whether a target may be shown the end of its input though the stream has not come to its end.

    As the options say; else unless it replaces what was there, of which it tells. Flow's own targets read the
    mark at the end, and publish nothing without it.
    """
    if options.on_incomplete is not None:
        return options.on_incomplete == "commit"
    if target.found.source == "bundled" or (setting := replacing_setting(target.config)) is None:
        return True
    logger.warning(
        "%s replaces what was there (%s), so it is stopped without an end of its input. "
        "--on-incomplete commit lets it finish.",
        target.name,
        setting,
    )
    return False


_REPLACING_SETTINGS = frozenset(
    {"overwrite_behavior", "load_method", "load_mode", "write_mode", "write_disposition", "if_exists", "mode"}
)
_REPLACING_VALUES = ("overwrite", "replace", "truncate", "recreate")


def replacing_setting(config: Mapping[str, Any]) -> str | None:
    """The setting by which a target says that it replaces what was there; None where none does.

    Args:
        config: of the target. By these names the Singer SDK (`load_method`) and targets made with it say it.
    """
    for name, value in config.items():
        if name in _REPLACING_SETTINGS and str(value).lower().startswith(_REPLACING_VALUES):
            return f"{name}: {value}"
        if name in ("overwrite", "replace", "truncate") and value is True:
            return f"{name}: true"
    return None
