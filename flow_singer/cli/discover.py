"""`flow discover`."""

from __future__ import annotations

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_table
from flow_singer.cli._completion import complete_tap
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK


@click.command("discover", cls=Verb)
@click.argument("tap", metavar="TAP", shell_complete=complete_tap)
@_options.tap_config
@_options.refresh_catalog
@_options.as_json
@click.pass_obj
def command(cli: Cli, tap: str, config: str | None, refresh_catalog: bool, as_json: bool) -> int:
    """Show the streams that a tap has.

    As a run does, it takes the catalog that is kept of the tap, where nothing has changed, and else discovers it.
    --json prints the catalog as the tap wrote it, for flow run TAP --catalog FILE.

    \b
    flow discover tap-github
    flow discover tap-github --json > catalog.json
    """
    import json

    from flow_singer.cli._asking import asking
    from flow_singer.singer.streamfacts import facts_of_streams
    from flow_singer.stages.tapdiscovery import ask_tap

    with asking(cli, tap) as show:
        asked = ask_tap(cli.workspace, tap, config=config, refresh=refresh_catalog)
        content = asked.catalog(show, refresh=refresh_catalog)
    if as_json:
        click.echo(content, nl=not content.endswith(b"\n"))
        return EXIT_OK
    rows = [
        (one.id, ", ".join(one.keys), one.replication, one.fields)
        for one in facts_of_streams(json.loads(content))
    ]
    answer_table(("STREAM", "KEYS", "REPLICATION", "FIELDS"), rows)
    return EXIT_OK
