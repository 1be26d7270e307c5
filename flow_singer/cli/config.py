"""`flow config`: settings of plugins, by the verbs of `meltano config`."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json, answer_table, confirm
from flow_singer.cli._completion import complete_plugin
from flow_singer.cli._context import Cli, named_environment
from flow_singer.cli._optionvars import Verb, VerbGroup
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.stages.settingwriter import Place

logger = logging.getLogger("flow_singer")


class _ConfigGroup(VerbGroup):
    """`flow config PLUGIN` lists; the plugin may also stand before the verb, as in older Meltano."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb among the words."""
        verbs = self.list_commands(ctx)
        if args and args[0] not in verbs and not args[0].startswith("-"):
            verb = args[1] if len(args) > 1 and args[1] in verbs else "list"
            rest = args[2:] if len(args) > 1 and args[1] in verbs else args[1:]
            args = [verb, args[0], *rest]
        return super().resolve_command(ctx, args)


_plugin = click.argument("plugin", metavar="PLUGIN", shell_complete=complete_plugin)
_setting = click.argument("setting", metavar="SETTING")
_extras = click.option(
    "--extras", is_flag=True, help="Of select, metadata and the like in place of its config."
)
_unsafe = click.option("--unsafe", is_flag=True, help="Show secrets.")
_store = click.option(
    "--store",
    type=click.Choice(["auto", "dotenv", "meltano_environment", "meltano_yml"]),
    default="auto",
    show_default=True,
    help="Where it is written.",
)


@click.group("config", cls=_ConfigGroup)
def command() -> None:
    """Show and change the settings of a plugin.

    \b
    flow config tap-github
    flow config set tap-github start_date 2026-01-01
    flow config set tap-github auth_token --from-file token.txt
    flow --environment prod config unset tap-github start_date
    """


@command.command("list", cls=Verb, group="config")
@_plugin
@_extras
@_unsafe
@_options.as_json
@click.pass_obj
def list_(cli: Cli, plugin: str, extras: bool, unsafe: bool, as_json: bool) -> int:
    """List every setting, its value, and where it comes from.

    Those that the plugin itself declares are known once it was run, tested or installed. Secrets are ***.

    \b
    flow config tap-github
    flow config list tap-github --json
    """
    from flow_singer.project.variables import as_text
    from flow_singer.stages.pluginsettings import plugin_config

    config = plugin_config(cli.workspace, plugin)
    values = config.values(extras=extras, unsafe=unsafe)
    if as_json:
        answer_json(
            {
                "plugin": plugin,
                "environment": config.project.environment,
                "settings": [
                    {
                        "name": one.name,
                        "value": one.value,
                        "source": one.source,
                        "kind": one.kind,
                        "secret": one.is_secret,
                        "variable": one.variable,
                    }
                    for one in values
                ],
            }
        )
        return EXIT_OK
    if values:
        rows = [
            (one.name, "" if one.value is None else as_text(one.value), one.source or "not set")
            for one in values
        ]
        answer_table(("SETTING", "VALUE", "FROM"), rows)
    else:
        logger.info("%s has no settings, or never said which: flow test %s asks it.", plugin, plugin)
    return EXIT_OK


@command.command("print", cls=Verb, group="config")
@_plugin
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "env"]),
    default="json",
    show_default=True,
    help="JSON, or variables.",
)
@_extras
@_unsafe
@click.pass_obj
def print_(cli: Cli, plugin: str, form: str, extras: bool, unsafe: bool) -> int:
    """Print the config as the plugin gets it.

    \b
    flow config print tap-github --unsafe > config.json
    """
    from flow_singer.project.variables import as_text
    from flow_singer.stages.pluginsettings import plugin_config

    config = plugin_config(cli.workspace, plugin)
    if form == "json":
        answer_json(config.config(extras=extras, unsafe=unsafe))
        return EXIT_OK
    import shlex

    for one in config.values(extras=extras, unsafe=unsafe):
        if one.value is not None:
            click.echo(f"{one.variable}={shlex.quote(as_text(one.value))}")
    return EXIT_OK


@command.command("set", cls=Verb, group="config", context_settings={"ignore_unknown_options": True})
@_plugin
@_setting
@click.argument("value", metavar="[VALUE]", required=False)
@click.option(
    "--from-file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    metavar="FILE",
    help="Read the value here, - for stdin; so that no secret is typed.",
)
@_store
@click.pass_obj
def set_(cli: Cli, plugin: str, setting: str, value: str | None, from_file: Path | None, store: str) -> int:
    """Set a setting of a plugin.

    A secret goes into .env. All else goes into meltano.yml, whose other lines stay as they are: into the
    environment if --environment names one, else into the plugin's entry.

    \b
    flow config set tap-github start_date 2026-01-01
    flow config set tap-github repositories '["a/b", "a/c"]'
    """
    if (value is None) == (from_file is None):
        raise ConfigError(
            "One value is wanted: typed, or from a file.", "Write: flow config set PLUGIN SETTING VALUE"
        )
    from flow_singer.project.masking import looks_secret, remember
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.settingwriter import set_setting

    if value is not None and looks_secret(setting):
        remember({value})
    text = value if value is not None else _read(from_file)
    config = plugin_config(cli.workspace, plugin)
    written = set_setting(
        cli.workspace, config, setting, text, place=_place(store), environment=named_environment(cli)
    )
    shown = "***" if config.is_secret(setting) else json.dumps(written.value, ensure_ascii=False)
    logger.info("%s: %s is %s in %s.", plugin, setting, shown, written.place)
    if written.covered_by:
        logger.warning("%s goes before it, so that %s gets another value.", written.covered_by, plugin)
    return EXIT_OK


@command.command("unset", cls=Verb, group="config")
@_plugin
@_setting
@_store
@click.pass_obj
def unset(cli: Cli, plugin: str, setting: str, store: str) -> int:
    """Remove a setting of a plugin from where it is written.

    \b
    flow config unset tap-github start_date
    """
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.settingwriter import unset_setting

    config = plugin_config(cli.workspace, plugin)
    places = unset_setting(config, setting, place=_place(store), environment=named_environment(cli))
    logger.info("%s: %s is gone from %s.", plugin, setting, " and ".join(places))
    _tell_rest(cli, plugin, setting)
    return EXIT_OK


@command.command("reset", cls=Verb, group="config")
@_plugin
@_store
@_options.yes
@click.pass_obj
def reset(cli: Cli, plugin: str, store: str, yes: bool) -> int:
    """Remove all settings of a plugin from where they are written.

    \b
    flow config reset tap-github
    """
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.settingwriter import reset_settings

    config = plugin_config(cli.workspace, plugin)
    confirm(f"Remove all settings of {plugin}?", yes=yes)
    removed = reset_settings(config, place=_place(store), environment=named_environment(cli))
    for one in removed:
        logger.info("Removed %s", one)
    if not removed:
        logger.info("%s has no settings there.", plugin)
    return EXIT_OK


def _read(file: Path | None) -> str:
    """The text of a file without the newline at its end; of stdin for `-`."""
    try:
        text = sys.stdin.read() if str(file) == "-" else Path(file or "").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--from-file: '{file}' cannot be read.", "Name a file of UTF-8 text.") from exc
    return text.removesuffix("\n")


def _place(store: str) -> Place | None:
    return None if store == "auto" else cast("Place", store)


def _tell_rest(cli: Cli, plugin: str, setting: str) -> None:
    """Say where the setting comes from now, if anything else sets it."""
    from flow_singer.stages.pluginsettings import plugin_config
    from flow_singer.stages.workspace import Workspace

    workspace = cli.workspace
    again = plugin_config(Workspace(workspace.folder, workspace.environ, workspace.environment), plugin)
    if source := again.known.settings.sources.get(setting):
        logger.info("It comes from: %s.", source)


@command.command("test", cls=Verb, group="config")
@_plugin
@_options.yes
@click.pass_obj
def test_(cli: Cli, plugin: str, yes: bool) -> int:
    """Find out whether a plugin works with its settings, as flow test does.

    \b
    flow config test tap-github
    """
    from flow_singer.cli.test import run_test

    return run_test(cli, plugin, yes=yes)
