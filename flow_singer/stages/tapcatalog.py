"""The catalog of one run of a tap: given or discovered, kept for the next run, with all rules applied."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.nearnames import listed
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.singer.catalog import CatalogResult, apply_filter, apply_rules, extend_select
from flow_singer.singer.selection import selected_streams
from flow_singer.stages.keptcatalog import discovered_catalog
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
    is_ruled = bool(_rules(tap, "select", "select_filter", "metadata", "schema", "catalog"))
    if tap.found.data is not None and not (options.select or options.catalog or is_ruled):
        return None  # all streams of the data; asking which there are would read a bare file twice
    if not able & {"catalog", "properties"}:
        _refuse_idle(tap, options)
        return None
    given = options.catalog or _own_catalog(tap, root, options)
    if given:
        result = apply_filter(read_catalog(given), tap.extras.get("select_filter") or [])
    elif "discover" not in able:
        raise ConfigError(
            f"{tap.name} cannot discover its catalog, and none was given.", "Give one with --catalog FILE."
        )
    else:
        # What lies at a path today may be another than when its streams were looked for.
        refresh = options.refresh_catalog or options.full_refresh or tap.found.data is not None
        content = discovered_catalog(tap, config, cache, relay, refresh=refresh)
        result = rule_catalog(tap.extras, json.loads(content), options.select)
    streams = listed(stream_ids(result.catalog), f"flow select {tap.name} --list")
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


def rule_catalog(
    extras: Mapping[str, Any], catalog: Mapping[str, Any], select: Sequence[str] = ()
) -> CatalogResult:
    """Apply the rules of a project to a discovered catalog.

    Args:
        extras: the tap's.
        catalog: as it was discovered.
        select: rules of the command line; see `extend_select`.

    Raises:
        ConfigError: the catalog or a rule has a wrong shape.
    """
    return apply_rules(catalog, **rules_of(extras, select))


def rules_of(extras: Mapping[str, Any], select: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments of `apply_rules`: what a project says, with the rules of the command line."""
    return {
        "select": extend_select(extras.get("select") or DEFAULT_SELECT, list(select)),
        "select_filter": extras.get("select_filter") or [],
        "metadata": extras.get("metadata"),
        "schema": extras.get("schema"),
    }


DEFAULT_SELECT = ["*.*"]
"""The rules of a tap that has none."""


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
    return [name for name in names if tap.extras.get(name) not in (None, [], {}, DEFAULT_SELECT)]


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


def stream_ids(catalog: Mapping[str, Any]) -> list[str]:
    """The ids of a catalog's streams."""
    return [str(one.get("tap_stream_id", one.get("stream"))) for one in catalog["streams"]]


def read_catalog(path: Path) -> dict[str, Any]:
    """Read a catalog that a person wrote; ConfigError where it is none."""
    try:
        catalog = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            f"Cannot read the catalog {path}: {exc.strerror}.", "Name a file that holds a catalog."
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(
            f"The catalog {path} is not JSON: {exc}.", "Correct it, or discover it anew: leave --catalog out."
        ) from exc
    if not isinstance(catalog, dict):
        raise ConfigError(f"The catalog {path} is not a JSON object.", 'For example: {"streams": []}.')
    return catalog
