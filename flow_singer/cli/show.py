"""`flow show`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json
from flow_singer.cli._completion import complete_tap
from flow_singer.cli._context import Cli
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._liveline import stage_line
from flow_singer.cli._logging import tell
from flow_singer.cli._lookedat import given_options, look_behind_tap, looking_at_stdin
from flow_singer.cli._optionvars import Verb
from flow_singer.dataplaces import is_place
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.stages.show import Shown, ShowOptions

_TAP_LIMIT = 1_000
_PAGE_ROWS = 500


@click.command("show", cls=Verb)
@click.argument("place", metavar="PATH|TAP|-", shell_complete=complete_tap)
@click.option("--stream", metavar="NAME", help="Only this stream.")
@click.option("--rows", type=click.IntRange(0), metavar="N", help="Rows of each head. [default: 10]")
@click.option("--profile", is_flag=True, help="Also what there is in each column; reads everything.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    help=f"Look at the first N records of each stream. [default: all; of a tap, {_TAP_LIMIT:,}]",
)
@click.option(
    "--schema", "as_schema", is_flag=True, help="Print the JSON Schema of the stream, and nothing else."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write all of it as one page, which needs nothing else.",
)
@_options.tap_config
@_options.noise
@_options.as_json
@click.option("--title", hidden=True)
@click.pass_obj
def command(
    cli: Cli,
    place: str,
    stream: str | None,
    rows: int | None,
    profile: bool,
    limit: int | None,
    as_schema: bool,
    html: Path | None,
    config: str | None,
    noise: str,
    as_json: bool,
    title: str | None,
) -> int:
    """Look at data: streams, fields, the first rows.

    Nothing is moved. --config says how files are to be read, as for tap-datapackage.

    \b
    flow show sales.csv
    flow show out/ --profile
    flow show out/ --html report.html
    flow run tap-github t.py | flow show -
    """
    from flow_singer.stages.show import ShowOptions

    if as_schema and (as_json or html is not None):
        raise click.UsageError("--schema prints a schema and nothing else: leave --json and --html out.")
    if place != "-" and not is_place(place):
        return _show_tap(cli, place, click.get_current_context().params)
    refuse_idle(_idle(place))
    wanted = _PAGE_ROWS if html is not None and rows is None else 10 if rows is None else rows
    options = ShowOptions(0 if as_schema else wanted, profile or html is not None, limit, stream)
    if place == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError("There is nothing on stdin.", "Put it behind a tap: flow run TAP | flow show -")
        found = _show_stdin(cli, title or "stdin", options, forward_noise=noise == "stderr")
    else:
        found = _show_place(cli, place, config, options)
    for note in dict.fromkeys(found.notes):
        tell(f"Warning: {note}", level=logging.WARNING)
    _answer(found, as_json=as_json, as_schema=as_schema, html=html, rows=options.rows)
    return EXIT_OK


def _idle(place: str) -> list[Idle]:
    if place == "-":
        return [Idle("config", "is for files and taps, which this is not.")]
    return [Idle("noise", "is for a stream of messages, which this is not.")]


def _show_place(cli: Cli, place: str, config: str | None, options: ShowOptions) -> Shown:
    from flow_singer.plugins.prepare import read_config
    from flow_singer.process.interrupts import interruptible
    from flow_singer.stages.show import show_place

    with interruptible(), stage_line(cli, place, draws=True) as line:
        return show_place(
            place, read_config(config)[0], options, progress=lambda records: line.update(records, 0)
        )


def _show_stdin(cli: Cli, title: str, options: ShowOptions, *, forward_noise: bool) -> Shown:
    with looking_at_stdin(cli, "show") as (parallel, count):
        from flow_singer.stages.show import show_stream

        return show_stream(
            0,
            title,
            options,
            forward_noise=forward_noise,
            batch_paths=cli.workspace.batch_paths,
            parallel=parallel,
            progress=count,
        )


def _show_tap(cli: Cli, tap: str, given: Mapping[str, Any]) -> int:
    """Look at the first records of a tap."""
    from flow_singer.cli._words import refuse_other_kind

    refuse_other_kind(cli.workspace, tap, "extractors")
    flags = {"--profile": given["profile"], "--schema": given["as_schema"], "--json": given["as_json"]}
    words = ["--title", tap, *given_options(given, "stream", "rows", "html")]
    words += [flag for flag, is_set in flags.items() if is_set]
    limit = ["--limit", str(given["limit"] or _TAP_LIMIT)]
    return look_behind_tap(cli, "show", tap, given, limit=limit, words=words)


def _answer(found: Shown, *, as_json: bool, as_schema: bool, html: Path | None, rows: int) -> None:
    if html is not None:
        _write_page(html, found.to_json())
    if as_schema:
        if len(found.schemas) > 1:
            raise ConfigError(
                f"{found.title} has {len(found.schemas)} streams, and a schema is of one.",
                f"Name it with --stream: {', '.join(list(found.schemas)[:10])}.",
            )
        answer_json(next(iter(found.schemas.values())))
    elif as_json:
        answer_json(found.to_json())
    elif html is None:
        from flow_singer.cli._shown import print_streams

        print_streams(found.streams, rows=rows)


def _write_page(file: Path, report: dict[str, Any]) -> None:
    from flow_singer.files import write_atomic
    from flow_singer.looking.page import page_html

    try:
        write_atomic(file, page_html(report).encode())
    except OSError as exc:
        raise ConfigError(
            f"{file} cannot be written: {exc.strerror or exc}.", "Name a file in a folder that is there."
        ) from exc
    tell(f"{file} is written: open it in a browser.")
