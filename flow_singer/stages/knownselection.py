"""What a run of a tap gets, by the catalog that can be had; and what of the rules that a person typed does nothing."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from flow_singer.errors import ConfigError, FlowError
from flow_singer.nearnames import listed
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.prepare import read_config
from flow_singer.plugins.programs import find_plugin
from flow_singer.project.meltanofile import Project
from flow_singer.project.settings import PluginSettings
from flow_singer.singer.catalog import apply_rules
from flow_singer.singer.selection import breadcrumb_of
from flow_singer.singer.selectreasons import Choice, StreamChoice, explain_selection
from flow_singer.singer.selectrule import UNESCAPED_DOT, SelectRule
from flow_singer.stages.keptcatalog import kept_catalog
from flow_singer.stages.tapcatalog import stream_ids
from flow_singer.stages.tapdiscovery import AskedTap, ask_tap
from flow_singer.stages.tapselection import LAYER, TapSelection, own_catalog, select_tap, spelt
from flow_singer.stages.workspace import Workspace

logger = logging.getLogger(__name__)


def tap_selection(
    asked: AskedTap, show: Callable[[str, str], None], *, refresh: bool = False
) -> TapSelection:
    """Work out what a run of a tap gets, by its catalog that is kept or discovered.

    Args:
        asked: the tap.
        show: gets (name, line) of what it writes on stderr.
        refresh: discover anew.

    Raises:
        ConfigError: the tap takes no catalog or cannot discover one; the catalog or a rule has a wrong shape.
        TapError: discovery failed.
    """
    tap = asked.tap
    assert tap.settings is not None  # it was prepared
    if not asked.able & {"catalog", "properties"}:
        raise _takes_none(asked)
    content = None if own_catalog(tap.settings) else asked.catalog(show, refresh=refresh)
    return select_tap(tap.settings, asked.project, content)


def _takes_none(asked: AskedTap) -> ConfigError:
    return ConfigError(
        f"{asked.tap.name} takes no catalog, so that rules do nothing: it sends what it likes.",
        "If it does take one, list its capabilities in meltano.yml: [catalog, discover, state].",
    )


def known_selection(
    workspace: Workspace, name: str, show: Callable[[str, str], None], *, config: str | None, refresh: bool
) -> TapSelection | None:
    """The same for a tap whose rules are to be changed; None, with a warning, where its catalog is not available.

    Args:
        workspace: of the command.
        name: of the tap.
        show: see `tap_selection`.
        config: of the command line, over the tap's settings.
        refresh: discover anew.

    Raises:
        ConfigError: the tap takes no catalog; `config` or a rule that is there is none.
    """
    read_config(config)
    try:
        asked = ask_tap(workspace, name, config=config, refresh=refresh)
        if asked.able & {"catalog", "properties"}:
            return tap_selection(asked, show, refresh=refresh)
    except FlowError as error:
        logger.warning(
            "The catalog of %s is not available, so rules are not checked: %s", name, error.message
        )
        return None
    raise _takes_none(asked)


def kept_selection(
    settings: PluginSettings, project: Project, environ: Mapping[str, str]
) -> TapSelection | None:
    """The same by what is there: nothing is installed, started or told. None where no catalog is kept.

    Args:
        settings: of the tap.
        project: whose tap it is.
        environ: the environment of this process.

    Raises:
        ConfigError: there is no such tap; the catalog or a rule has a wrong shape.
    """
    if own_catalog(settings):
        return select_tap(settings, project, None)
    name = settings.plugin.name
    found = find_plugin(name, "extractors", project, environ=environ)
    cache = cache_folder(found, project, environ=environ)
    try:
        kept = kept_catalog(found, settings.config, settings.extras, cache)
    except OSError:  # it is not installed
        return None
    return None if kept is None else select_tap(settings, project, kept.content)


def refuse_unmatched(
    tap: str, selection: TapSelection, rules: Sequence[str], *, other: Sequence[str] = ()
) -> None:
    """Refuse rules that match nothing.

    Args:
        tap: its name.
        selection: what a run of it gets.
        rules: that a person typed.
        other: what the words may have meant, too; it is told if it matches.

    Raises:
        ConfigError: one matches nothing; says what is near.
    """
    result = apply_rules(selection.result.catalog, select=rules)
    if not result.unmatched or not rules:
        return
    if other and not apply_rules(selection.result.catalog, select=other).unmatched:
        hint = f"Or did you mean {' '.join(map(shlex.quote, other))}?"
    elif fieldless := [rule for rule, why in result.unmatched.items() if "no stream is called" not in why]:
        stream = UNESCAPED_DOT.split(fieldless[0].removeprefix("!"))[0]
        hint = f"Fields that there are: flow select {tap} {shlex.quote(stream)} --list"
    else:
        hint = f"It has: {listed(stream_ids(result.catalog), f'flow select {tap} --list')}."
    raise ConfigError(f"{tap}: {' '.join(result.unmatched.values())}", hint)


def idle_rules(tap: str, selection: TapSelection, rules: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on each rule that does nothing beside the others.

    Args:
        tap: its name.
        selection: with them.
        rules: some of those of the selection.
    """
    document = json.loads(selection.content or b'{"streams": []}')
    for rule in rules:
        rest = [one for one in selection.arguments["select"] if one != rule]
        without = explain_selection(document, **{**selection.arguments, "select": rest})
        if _chosen(without) != _chosen(selection.streams):
            continue
        is_told = any(f"'{rule}'" in said for said in selection.result.warnings)
        found = next(_about(SelectRule.parse(rule), without), None)
        if is_told or found is None:
            continue
        name, choice = found
        state = "in" if choice.is_in else "out"
        remedy = ""
        if choice.reason == "rule":
            command = f"flow select {tap} --remove {shlex.quote(choice.rule or '')}"
            layer = LAYER.fullmatch(selection.rules.layer)
            named = f" --environment {layer['environment']}" if layer and layer["environment"] else ""
            remedy = f" To take that rule away: {command}{named}"
        yield f"'{rule}' changes nothing: {name} is {state} anyway: {selection.why(choice)}.{remedy}"


def _chosen(streams: Sequence[StreamChoice]) -> list[bool]:
    return [
        choice.is_in for one in streams for choice in (one.choice, *(item.choice for item in one.properties))
    ]


def _about(rule: SelectRule, streams: Sequence[StreamChoice]) -> Iterator[tuple[str, Choice]]:
    """What a rule is about, as rules write it; first what another rule decides."""
    found = [
        (spelt(stream, one), one.choice if one else stream.choice)
        for stream in streams
        for one in (None, *stream.properties)
        if (
            rule.matches(stream.facts.id, breadcrumb_of(one.path))
            if one
            else rule.properties in ((), ("*",)) and rule.touches(stream.facts.id, ())
        )
    ]
    yield from sorted(found, key=lambda one: one[1].reason != "rule")
