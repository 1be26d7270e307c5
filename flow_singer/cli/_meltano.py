"""Variables of `meltano run` that Flow cannot honour; those it can are variables of its own options."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from flow_singer.errors import ConfigError
from flow_singer.project.variables import truthy

logger = logging.getLogger("flow_singer")

# Without these the run would do what it was told not to (Meltano 4.4, options of `run`).
_REFUSED = {
    "MELTANO_RUN_DRY_RUN": "Flow has no dry run. flow run TAP --limit 1 shows the first records and moves no bookmark.",
    "MELTANO_RUN_NO_STATE_UPDATE": "Flow always keeps the bookmark of a target; flow run TAP --limit N moves none.",
}
_IDLE = frozenset(
    {
        "MELTANO_RUN_STATE_STRATEGY",
        "MELTANO_RUN_MERGE_STATE",
        "MELTANO_RUN_TIMEOUT",
        "MELTANO_RUN_INSTALL",
        "MELTANO_RUN_NO_INSTALL",
        "MELTANO_RUN_ONLY_INSTALL",
        "MELTANO_RUN_RUN_ID",
        "MELTANO_RUN_ID",
        "MELTANO_STATE_ID",
    }
)


def heed_meltano(environ: Mapping[str, str]) -> None:
    """Refuse or tell the variables of `meltano run` that Flow does not have.

    Raises:
        ConfigError: one asks that nothing be run, or that no bookmark move.
    """
    for name, hint in _REFUSED.items():
        if truthy(environ.get(name, "")):
            raise ConfigError(f"{name} is set, which Flow cannot do.", f"{hint} Else unset it.")
    for name in sorted(_IDLE):
        if environ.get(name):
            logger.warning("Flow does not heed %s, an option of meltano run.", name)
