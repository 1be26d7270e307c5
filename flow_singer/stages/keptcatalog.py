"""The catalog that a tap discovers: the one that is kept of it, or discovered anew and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flow_singer.plugins.builds import build_key
from flow_singer.plugins.discovery import (
    CachedCatalog,
    cached_catalog,
    catalog_key,
    discover,
    keep_catalog,
)
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.plugins.programs import FoundPlugin
from flow_singer.wording import count_of

logger = logging.getLogger(__name__)


def kept_catalog(
    found: FoundPlugin, config: Mapping[str, Any], extras: Mapping[str, Any], cache: Path
) -> CachedCatalog | None:
    """The catalog that was discovered with the same settings and the same build; None where none is kept.

    Args:
        found: the tap.
        config: its settings.
        extras: its extras.
        cache: folder of catalogs that were discovered before.
    """
    key = _key(found, config, extras)
    return None if key is None else cached_catalog(cache, key)


def discovered_catalog(
    tap: PreparedPlugin,
    config: Path,
    cache: Path,
    relay: Callable[[str], None],
    *,
    refresh: bool = False,
) -> bytes:
    """The catalog of a tap as its discovery wrote it; says whether it is kept, and for how long it was.

    Args:
        tap: ready to start.
        config: its config file.
        cache: folder of catalogs that were discovered before.
        relay: gets each line it writes on stderr meanwhile.
        refresh: discover anew.

    Raises:
        TapError: discovery failed.
    """
    if not refresh and (kept := kept_catalog(tap.found, tap.config, tap.extras, cache)) is not None:
        tell_age(tap.name, kept)
        return kept.content
    logger.info("%s: discovering its streams.", tap.name, extra={"activity": "step"})
    catalog = discover(tap.found, config=config, env=tap.env, relay=relay, secrets=tap.secrets)
    if (key := _key(tap.found, tap.config, tap.extras)) is not None:
        keep_catalog(cache, key, catalog)
    return catalog


def tell_age(tap: str, kept: CachedCatalog) -> None:
    """Say that a catalog was not discovered just now."""
    logger.info("%s: catalog of %s ago (--refresh-catalog discovers anew).", tap, _age(kept.age_s))


def _key(found: FoundPlugin, config: Mapping[str, Any], extras: Mapping[str, Any]) -> str | None:
    """What a catalog is kept under; None where nobody knows when it changes, or the project wants none kept."""
    build = build_key(found)
    if build is None or extras.get("use_cached_catalog", True) is False:
        return None
    return catalog_key(config, extras.get("schema"), extras.get("metadata"), build)


def _age(seconds: float) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return count_of(round(seconds / size), unit)
    return count_of(round(seconds), "second")
