"""`flow validate`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json, answer_table
from flow_singer.cli._completion import complete_tap
from flow_singer.cli._context import Cli
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._liveline import stage_line
from flow_singer.cli._logging import tell
from flow_singer.cli._lookedat import given_options, look_behind_tap, looking_at_stdin
from flow_singer.cli._optionvars import Verb
from flow_singer.dataplaces import is_place
from flow_singer.errors import EXIT_DATA, EXIT_OK, ConfigError
from flow_singer.wording import count_of

if TYPE_CHECKING:
    from flow_singer.checks.expectations import Expectation
    from flow_singer.checks.findings import Finding
    from flow_singer.stages.inputstream import LoadOptions
    from flow_singer.stages.validate import Validation


@click.command("validate", cls=Verb)
@click.argument("place", metavar="PATH|TAP|-", shell_complete=complete_tap)
@_options.expect
@click.option(
    "--limit-errors",
    type=click.IntRange(1),
    metavar="N",
    help="Stop when so many are found. [default: find all]",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Of a tap, the first N records of each stream."
)
@_options.tap_config
@click.option(
    "--quick", is_flag=True, help="Of a package, leave out frictionless' own checks, which are slow."
)
@click.option("--require-end", is_flag=True, help="Refuse streams without marks.")
@_options.noise
@_options.as_json
@click.pass_obj
def command(
    cli: Cli,
    place: str,
    expect: Path | None,
    limit_errors: int | None,
    limit: int | None,
    config: str | None,
    quick: bool,
    require_end: bool,
    noise: str,
    as_json: bool,
) -> int:
    """Look whether data are what they should be.

    Nothing is moved. Records are held to their SCHEMA, and to what is expected of them: in meltano.yml (expect: of a tap) and with
    --expect. Ends with 65 where something is wrong.

    \b
    flow validate tap-github
    flow validate out/
    flow run tap-github t.py | flow validate -
    """
    from flow_singer.stages.inputstream import LoadOptions

    refuse_idle(_idle(place))
    if place == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ConfigError(
                "There is nothing on stdin.", "Put it behind a tap: flow run TAP | flow validate -"
            )
        result = _validate_stdin(
            cli, expect, limit_errors, LoadOptions(require_end=require_end, forward_noise=noise == "stderr")
        )
    elif is_place(place):
        result = _validate_place(cli, place, config, expect, limit_errors, quick=quick)
    else:
        return _validate_tap(cli, place, click.get_current_context().params)
    _answer(result, as_json=as_json)
    if result.incomplete is not None:
        raise result.incomplete
    return EXIT_DATA if result.errors else EXIT_OK


def _idle(place: str) -> list[Idle]:
    """What has nothing to do for a place, or for a stream."""
    idle = []
    if place == "-" or is_place(place):
        idle.append(Idle("limit", "is for a tap, which this is not."))
    if place == "-":
        idle.append(Idle("config", "is for a tap, which this is not."))
    if not is_place(place):
        idle.append(Idle("quick", "is for a Data Package, which this is not."))
    else:
        idle.append(Idle("noise", "is for a stream of messages, which this is not."))
    if place != "-":
        idle.append(Idle("require_end", "is for a stream on stdin, which this is not."))
    return idle


def _expected(cli: Cli, expect: Path | None, tap: str | None) -> list[Expectation]:
    from flow_singer.stages.expected import expected_in_file, expected_of_tap

    found = [] if expect is None else expected_in_file(expect)
    return [*found, *expected_of_tap(cli.workspace.project, tap)]


def _validate_stdin(
    cli: Cli, expect: Path | None, limit_errors: int | None, options: LoadOptions
) -> Validation:
    with looking_at_stdin(cli, "validate") as (parallel, count):
        from flow_singer.stages.validate import validate_stream

        _expected(cli, expect, None)  # a mistake in it shows before anything is read
        return validate_stream(
            0,
            lambda tap: _expected(cli, expect, tap),
            limit=limit_errors,
            options=options,
            batch_paths=cli.workspace.batch_paths,
            parallel=parallel,
            progress=count,
        )


def _validate_place(
    cli: Cli, place: str, config: str | None, expect: Path | None, limit_errors: int | None, *, quick: bool
) -> Validation:
    """Look at what lies at a place: its rows, and, of a package on the disk, what frictionless says of it."""
    from flow_singer.plugins.prepare import read_config
    from flow_singer.process.interrupts import interruptible
    from flow_singer.stages.validate import descriptor_at, frictionless_findings, open_place, validate_place

    notes: dict[str, None] = {}
    with interruptible(), stage_line(cli, place, draws=True) as line:
        expectations = _expected(cli, expect, None)
        with open_place(place, read_config(config)[0], lambda text: notes.update({text: None})) as source:
            result = validate_place(
                source.streams,
                expectations,
                limit=limit_errors,
                progress=lambda records: line.update(records, 0),
            )
        if not quick and not result.stopped and (descriptor := descriptor_at(place)) is not None:
            line.activity("checked by frictionless")
            findings, note = frictionless_findings(descriptor, limit_errors)
            result.findings += findings
            notes.update({note: None} if note else {})
    result.notes[:0] = notes
    return result


def _validate_tap(cli: Cli, tap: str, given: Mapping[str, Any]) -> int:
    """Look at all that a tap writes."""
    from flow_singer.cli._words import refuse_other_kind
    from flow_singer.stages.expected import expected_of_tap

    refuse_other_kind(cli.workspace, tap, "extractors")
    expected_of_tap(cli.workspace.project, tap)
    limit = ["--full-refresh"] if given["limit"] is None else ["--limit", str(given["limit"])]
    words = [*given_options(given, "expect", "limit_errors"), *["--json"] * given["as_json"]]
    return look_behind_tap(cli, "validate", tap, given, limit=limit, words=words)


def _answer(result: Validation, *, as_json: bool) -> None:
    if as_json:
        answer_json(result.to_json())
        return
    rows = [_row(one) for one in result.findings]
    if rows:
        answer_table(("LEVEL", "STREAM", "COLUMN", "BROKEN", "ROWS", "FIRST"), rows)
    for note in result.notes:
        tell(f"Warning: {note}", level=logging.WARNING)
    total, streams = sum(result.records.values()), len(result.records)
    seen = f"{count_of(total, 'record')} of {count_of(streams, 'stream')}"
    found = [count_of(result.errors, "error")] * bool(result.errors)
    found += [count_of(result.warnings, "warning")] * bool(result.warnings)
    rest = "; the rest was not looked at" if result.stopped else ""
    click.echo(f"{seen}: {', '.join(found) or 'all as expected'}{rest}.")


def _row(one: Finding) -> tuple[object, ...]:
    level = "error" if one.is_error else "warning"
    return level, one.stream or None, one.column, one.expectation, one.count or None, one.said or one.first
