"""The catalog of one run of a tap: given or discovered, kept for the next run, with all rules applied."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.plugins.builds import build_key
from flow_singer.plugins.discovery import cached_catalog, catalog_key, discover, keep_catalog
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.singer.catalog import apply_filter, apply_rules, extend_select
from flow_singer.singer.selection import selected_streams
from flow_singer.stages.tapoptions import TapOptions

logger = logging.getLogger(__name__)


def make_catalog(
    tap: PreparedPlugin,
    able: frozenset[str],
    config: Path,
    cache: Path,
    options: TapOptions,
    relay: Callable[[str], None],
    *,
    root: Path | None = None,
) -> dict[str, Any] | None:
    """Make the catalog of a run.

    Args:
        tap: ready to start.
        able: what it can do, see [`capabilities`][flow_singer.plugins.about.capabilities].
        config: its config file, for discovery.
        cache: folder of catalogs that were discovered before.
        options: what was asked.
        relay: gets each line it writes on stderr meanwhile.
        root: the project's folder, where the extra `catalog` is looked for.

    Returns:
        The catalog with all rules applied; None for a tap that takes none.

    Raises:
        ConfigError: a given catalog cannot be read, nothing is selected, or a rule of `options` matches nothing.
        TapError: discovery failed.
    """
    if not able & {"catalog", "properties"}:
        _refuse_idle(tap, options)
        return None
    select = extend_select(tap.extras.get("select") or ["*.*"], list(options.select))
    select_filter = tap.extras.get("select_filter") or []
    given = options.catalog or _own_catalog(tap, root, options)
    if given:
        result = apply_filter(_read_catalog(given), select_filter)
    elif "discover" not in able:
        raise ConfigError(
            f"{tap.name} cannot discover its catalog, and none was given.", "Give one with --catalog FILE."
        )
    else:
        result = apply_rules(
            _discovered(tap, config, cache, options, relay),
            select=select,
            select_filter=select_filter,
            metadata=tap.extras.get("metadata"),
            schema=tap.extras.get("schema"),
        )
    streams = ", ".join(_stream_ids(result.catalog)) or "none"
    if wrong := [why for rule, why in result.unmatched.items() if rule in options.select]:
        said = " ".join(why.replace("select rule", "--select", 1) for why in wrong)
        raise ConfigError(f"{tap.name}: {said}", f"It has: {streams}.")
    for warning in result.warnings:
        logger.warning("%s: %s", tap.name, warning)
    if not selected_streams(result.catalog):
        raise ConfigError(
            f"{tap.name}: no stream is selected.",
            f"It has: {streams}. Select some with --select 'STREAM.*' or in meltano.yml.",
        )
    return result.catalog


def _refuse_idle(tap: PreparedPlugin, options: TapOptions) -> None:
    """A tap that takes no catalog sends what it likes: rules for one must not seem to hold."""
    why = f"does nothing: {tap.name} takes no catalog."
    hint = "If it does take one, list its capabilities in meltano.yml: [catalog, discover, state]."
    for option, value in (("--select", options.select), ("--catalog", options.catalog)):
        if value:
            raise ConfigError(f"{option} {why}", hint)
    if options.refresh_catalog:
        logger.warning("--refresh-catalog %s", why)
    if idle := _rules(tap, "select", "select_filter", "metadata", "schema", "catalog"):
        logger.warning("%s of meltano.yml %s %s", ", ".join(idle), why, hint)


def _rules(tap: PreparedPlugin, *names: str) -> list[str]:
    """Which of these extras the project has set."""
    return [name for name in names if tap.extras.get(name) not in (None, [], {}, ["*.*"])]


def _own_catalog(tap: PreparedPlugin, root: Path | None, options: TapOptions) -> Path | None:
    """The file of the extra `catalog`, relative to the project's folder (Meltano 4.4), used as it is."""
    file = tap.extras.get("catalog")
    if not file:
        return None
    if options.select:
        raise ConfigError(
            f"--select does nothing: meltano.yml gives {tap.name} a catalog, which is used as it is ({file}).",
            "Change that file, or take `catalog` out of meltano.yml.",
        )
    if idle := _rules(tap, "select", "metadata", "schema"):
        logger.warning("%s: the catalog %s is used as it is, without %s.", tap.name, file, ", ".join(idle))
    return (root or Path()) / str(file)


def _stream_ids(catalog: Mapping[str, Any]) -> list[str]:
    return [str(one.get("tap_stream_id", one.get("stream"))) for one in catalog["streams"]]


def _read_catalog(path: Path) -> dict[str, Any]:
    try:
        catalog = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"Cannot read the catalog {path}: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"The catalog {path} is not JSON: {exc}.") from exc
    if not isinstance(catalog, dict):
        raise ConfigError(f"The catalog {path} is not a JSON object.", 'For example: {"streams": []}.')
    return catalog


def _discovered(
    tap: PreparedPlugin, config: Path, cache: Path, options: TapOptions, relay: Callable[[str], None]
) -> dict[str, Any]:
    build = build_key(tap.found)
    usable = build is not None and tap.extras.get("use_cached_catalog", True) is not False
    key = catalog_key(tap.config, tap.extras.get("schema"), tap.extras.get("metadata"), build)
    if usable and not (options.refresh_catalog or options.full_refresh):
        kept = cached_catalog(cache, key)
        if kept is not None:
            logger.info(
                "%s: catalog of %s ago (--refresh-catalog discovers anew).", tap.name, _age(kept.age_s)
            )
            return dict(json.loads(kept.content))
    catalog = discover(tap.found, config=config, env=tap.env, relay=relay, secrets=tap.secrets)
    if usable:
        keep_catalog(cache, key, catalog)
    return dict(json.loads(catalog))


def _age(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
