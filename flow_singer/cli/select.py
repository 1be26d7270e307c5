"""`flow select`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json, answer_table
from flow_singer.cli._completion import complete_rule, complete_tap
from flow_singer.cli._context import Cli, named_environment
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flow_singer.singer.selectreasons import Choice, StreamChoice
    from flow_singer.stages.selectwriter import Change
    from flow_singer.stages.tapselection import TapSelection

logger = logging.getLogger("flow_singer")


@click.command("select", cls=Verb)
@click.argument("tap", metavar="TAP", shell_complete=complete_tap)
@click.argument("rules", nargs=-1, metavar="[RULE ...]", shell_complete=complete_rule)
@click.option("--list", "lists", is_flag=True, help="Show, do not change; of RULE alone, where there is one.")
@click.option("--all", "shows_all", is_flag=True, help="Also fields of streams that are out.")
@click.option("--exclude", is_flag=True, help="Leave out what RULE names, as '!RULE' does.")
@click.option("--remove", "--rm", "removes", is_flag=True, help="Take RULE away.")
@click.option("--clear", is_flag=True, help="Take all rules away.")
@_options.tap_config
@_options.refresh_catalog
@_options.as_json
@click.pass_obj
def command(
    cli: Cli,
    tap: str,
    rules: tuple[str, ...],
    lists: bool,
    shows_all: bool,
    exclude: bool,
    removes: bool,
    clear: bool,
    config: str | None,
    refresh_catalog: bool,
    as_json: bool,
) -> int:
    """Choose streams and fields, and see why each is in or out.

    With a RULE, it is added to `select` of the tap in meltano.yml, whose other lines stay as they are: in the
    environment if --environment names one, else in the tap's entry. A RULE is STREAM.FIELD with * as wildcard, and
    ! in front leaves out; Meltano's two words STREAM FIELD are one rule, too.

    \b
    flow select tap-github
    flow select tap-github 'issues.*' '!issues.body'
    flow select tap-github issues --list
    """
    from flow_singer.stages.selectwriter import other_reading, read_rules

    changes = clear or removes or bool(rules and not lists)
    _refuse_unfit(rules, lists=lists, exclude=exclude, removes=removes, clear=clear)
    if changes and (shows_all or as_json):
        option = "--all" if shows_all else "--json"
        raise ConfigError(
            f"{option} does nothing here: rules are changed.", f"See them with: flow select {tap}"
        )
    wanted = read_rules(rules, exclude=exclude)
    if changes:
        other = other_reading(rules)
        _change(cli, tap, wanted, config, removes=removes, clear=clear, refresh=refresh_catalog, other=other)
    else:
        _show(cli, tap, wanted, config, shows_all=shows_all, as_json=as_json, refresh=refresh_catalog)
    return EXIT_OK


def _refuse_unfit(rules: tuple[str, ...], *, lists: bool, exclude: bool, removes: bool, clear: bool) -> None:
    """Refuse options that do not go together."""
    given = {"--list": lists, "--remove": removes, "--clear": clear}
    typed = [option for option, is_given in given.items() if is_given]
    if len(typed) > 1:
        raise ConfigError(f"{' and '.join(typed)} exclude each other.", "Leave one of them out.")
    if exclude and (lists or clear):
        raise ConfigError(f"--exclude does nothing beside {typed[0]}.", "Leave it out.")
    if clear and rules:
        raise ConfigError(
            "--clear takes all rules away, and a RULE is named.", "For that one alone: --remove RULE"
        )
    if (removes or exclude) and not rules:
        option = "--remove" if removes else "--exclude"
        raise ConfigError(f"{option} needs a RULE.", "For example: 'issues.body'")


def _show(
    cli: Cli, tap: str, rules: list[str], config: str | None, *, shows_all: bool, as_json: bool, refresh: bool
) -> None:
    from flow_singer.cli._asking import asking
    from flow_singer.stages.knownselection import refuse_unmatched, tap_selection
    from flow_singer.stages.tapdiscovery import ask_tap
    from flow_singer.stages.tapselection import only_named

    with asking(cli, tap) as show:
        asked = ask_tap(cli.workspace, tap, config=config, refresh=refresh)
        selection = tap_selection(asked, show, refresh=refresh)
    refuse_unmatched(tap, selection, [rule for rule in rules if not only_named(selection.streams, [rule])])
    streams = only_named(selection.streams, rules) if rules else selection.streams
    if as_json:
        environment = asked.project.environment if asked.project else None
        answer_json({"tap": tap, "environment": environment, **selection.as_json(streams)})
    else:
        rows = [row for one in streams for row in _rows(selection, one, shows_all=shows_all or bool(rules))]
        answer_table(("STREAM.FIELD", "IN", "WHY"), rows)
    for said in selection.warnings:
        logger.warning("%s: %s", tap, said)
    is_short = not (shows_all or as_json) and any(not one.choice.is_in for one in streams) and not rules
    more = " Fields of streams that are out: --all" if is_short else ""
    logger.info("%s: %s are in.%s", tap, selection.count, more)


def _rows(
    selection: TapSelection, stream: StreamChoice, *, shows_all: bool
) -> Iterator[tuple[str, str, str]]:
    from flow_singer.stages.tapselection import spelt

    yield spelt(stream), _yes(stream.choice), selection.why_stream(stream)
    if stream.choice.is_in or shows_all:
        for one in stream.properties:
            yield spelt(stream, one), _yes(one.choice), selection.why_property(one)


def _yes(choice: Choice) -> str:
    return "yes" if choice.is_in else "no"


def _change(
    cli: Cli,
    tap: str,
    rules: list[str],
    config: str | None,
    *,
    removes: bool,
    clear: bool,
    refresh: bool,
    other: list[str],
) -> None:
    from flow_singer.cli._asking import asking
    from flow_singer.stages.knownselection import kept_selection, known_selection, refuse_unmatched
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.selectwriter import RuleList

    with asking(cli, tap) as show:
        now = plugin_config(cli.workspace, tap)
        rule_list = RuleList(now, named_environment(cli))
        if removes or clear:
            before = kept_selection(now.known.settings, now.project, cli.workspace.environ)
        else:
            before = known_selection(cli.workspace, tap, show, config=config, refresh=refresh)
    if before is not None and not (removes or clear):
        refuse_unmatched(tap, before, rules, other=other)
    change = rule_list.clear() if clear else rule_list.remove(rules) if removes else rule_list.add(rules)
    for rule, place in change.written:
        logger.info("%s: '%s' is in %s.", tap, rule, place)
    for rule, place in change.kept:
        logger.info("%s: '%s' is in %s already.", tap, rule, place)
    for rule, place in change.removed:
        logger.info("%s: '%s' is gone from %s.", tap, rule, place)
    if not (change.written or change.kept or change.removed):
        logger.info("%s has no rules in %s.", tap, rule_list.called)
    if change.copied:
        copied = "was copied" if len(change.copied) == 1 else "were copied"
        logger.info("%s %s, as exclusions alone would select nothing.", _quoted(change.copied), copied)
    if change.replaced:
        logger.info("Until now %s held.", _quoted(change.replaced))
    _tell_effect(cli, tap, before, change)


def _quoted(rules: Iterable[str]) -> str:
    return ", ".join(f"'{rule}'" for rule in rules)


def _tell_effect(cli: Cli, tap: str, before: TapSelection | None, change: Change) -> None:
    """Say what a run gets now, and what of the change does nothing."""
    from flow_singer.stages.knownselection import idle_rules
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.tapselection import rules_with_places, select_tap
    from flow_singer.stages.workspace import Workspace

    workspace = cli.workspace
    config = plugin_config(Workspace(workspace.folder, workspace.environ, workspace.environment), tap)
    rules = rules_with_places(config.known.settings, config.project)
    if change.layer not in (None, rules.layer):
        logger.warning(
            "%s goes before it, so that %s gets other rules: %s.", rules.layer, tap, _quoted(rules.texts)
        )
    elif change.layer is None and change.removed:
        logger.info("What holds now is %s (%s).", _quoted(rules.texts), rules.layer)
    if before is None:
        return
    after = select_tap(config.known.settings, config.project, before.content)
    if change.layer == rules.layer:
        new = [rule for rule, _ in change.written]
        for said in (*after.warnings_of(new), *idle_rules(tap, after, new)):
            logger.warning("%s", said)
    was = f" (before: {before.count})" if before.count != after.count else ""
    logger.info("%s: %s are in now%s.", tap, after.count, was)
    if not any(one.choice.is_in for one in after.streams):
        logger.warning("%s: no stream is selected, so that a run would fail.", tap)
