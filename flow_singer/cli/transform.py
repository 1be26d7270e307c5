"""`flow transform`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flow_singer.cli import _options
from flow_singer.cli._completion import complete_file
from flow_singer.cli._context import Cli
from flow_singer.cli._logging import set_context
from flow_singer.cli._optionvars import Verb
from flow_singer.cli._summary import tell_rejects
from flow_singer.errors import EXIT_OK, EXIT_REJECTS, ConfigError
from flow_singer.process.status import StatusWriter

if TYPE_CHECKING:
    from flow_singer.transforms.transformer import Transformer


@click.command("transform", cls=Verb)
@click.argument("files", nargs=-1, metavar="FILE.py[:FUNCTION] ...", shell_complete=complete_file)
@click.option(
    "--batch-records", type=click.IntRange(1), default=10_000, show_default=True, help="Records a batch."
)
@click.option(
    "--max-age",
    type=click.FloatRange(0.01),
    default=10.0,
    show_default=True,
    help="Seconds a record may wait.",
)
@_options.expect
@click.option("--of", "tap", metavar="TAP", hidden=True)
@_options.reject
@_options.max_rejects
@_options.nan
@_options.noise
@click.option(
    "--strict/--no-strict",
    default=None,
    help="Fail where a function's stream never came. [default: in flow run; else where no function met one]",
)
@click.option("--plain", is_flag=True, help="No marks in the output.")
@click.option("--debug", is_flag=True, help="Leave the terminal to breakpoint() in your functions.")
@click.option("--config", "config", metavar="FILE", help='As a Meltano mapper: {"files": ["t.py"]}.')
@click.option("--about", is_flag=True, is_eager=True, help="Describe itself as a Meltano mapper.")
@click.option("--format", "about_format", type=click.Choice(["json", "text"]), hidden=True)
@click.pass_obj
def command(
    cli: Cli,
    files: tuple[str, ...],
    batch_records: int,
    max_age: float,
    expect: Path | None,
    tap: str | None,
    reject: Path | None,
    max_rejects: int | None,
    nan: str,
    noise: str,
    strict: bool | None,
    plain: bool,
    debug: bool,
    config: str | None,
    about: bool,
    about_format: str | None,
) -> int:
    """Change messages with the functions of a file.

    A function named like a stream gets it as a DataFrame, batch by batch, and returns one. Every other
    stream passes byte for byte.

    \b
    flow run tap-github | flow transform t.py | flow load target-csv
    flow transform --debug t.py < messages.jsonl > /dev/null
    """
    if about:
        click.echo(json.dumps(_ABOUT, indent=2))
        return EXIT_OK
    if about_format is not None:
        raise ConfigError("--format goes with --about.", "The format of messages is always Singer's.")
    specs = [*files, *_configured_files(config)]
    if not specs and expect is None and tap is None:
        raise click.UsageError("Name at least one file: flow transform t.py")
    if max_rejects is not None and reject is None:
        raise click.UsageError("--max-rejects needs --reject FILE.")
    if sys.stdin.isatty():
        raise ConfigError(
            "There is nothing on stdin.", "Put it behind a tap: flow run TAP | flow transform t.py"
        )
    from flow_singer.cli import _prints, _terminal
    from flow_singer.cli._liveline import is_last_stage, stage_line
    from flow_singer.process.interrupts import interruptible
    from flow_singer.tabular.parallel import ParallelDecoder

    # No thread of ours beside a user's function, which may fork.
    live = stage_line(cli, " ".join(specs), draws=is_last_stage() and not debug, ticks=False)
    decoder = ParallelDecoder(processes=1 if debug else None)
    with (
        interruptible(within_s=None if debug else _STOP_S),
        contextlib.closing(decoder) as parallel,
        live as line,
    ):
        parallel.expect_input(0)  # a second process starts while this one still loads pandas
        from flow_singer.stages.expected import expected_in_file, expected_of_tap
        from flow_singer.stages.transform import TransformOptions, transform_stream
        from flow_singer.tabular.memory import set_up_memory
        from flow_singer.transforms.waitingrecords import Limits

        expected = [] if expect is None else expected_in_file(expect)
        expected_of_tap(cli.workspace.project, tap)  # a mistake in it shows before anything is read
        options = TransformOptions(
            plain=plain,
            limits=Limits(batch_records=batch_records, max_age_s=max_age),
            reject=reject,
            max_rejects=max_rejects,
            nan="null" if nan == "null" else "error",
            forward_noise=noise == "stderr",
            strict=strict,
            debug=debug,
            batch_paths=cli.workspace.batch_paths,
            supervised=StatusWriter(cli.workspace.environ).supervised,
            expected=lambda name: [*expected, *expected_of_tap(cli.workspace.project, tap or name)],
        )
        set_up_memory()
        source, out = os.dup(0), os.dup(1)
        if debug:
            _prints.hand_terminal_over()
        else:
            os.dup2(2, 1)  # print() in the user's file must not end up among the messages
            _close_stdin()
        prints = _prints.PrintedLines(sys.stdout.buffer) if not debug and _terminal.can_draw() else None

        def count(first: Transformer) -> None:
            set_context(run=first.header.run if first.header else None)
            line.update(first.records_read, 0)

        with contextlib.redirect_stdout(prints or sys.stdout):
            try:
                result = transform_stream(
                    specs,
                    options,
                    source=source,
                    out=out,
                    parallel=parallel,
                    progress=count,
                )
            finally:
                if prints is not None:
                    prints.end()
    if result.rejects:
        tell_rejects(result.rejects, reject)
    return EXIT_REJECTS if result.rejects else EXIT_OK


_STOP_S = 5.0
"""A user's function may swallow every exception, so it gets no longer than this to stop."""


def _close_stdin() -> None:
    """Put nothing behind stdin: input() in the user's file, or a program that it starts, must not take messages."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


_ABOUT = {
    "name": "flow-transform",
    "description": "pandas functions as a Singer mapper",
    "capabilities": ["stream-maps"],
    "settings": [{"name": "files", "kind": "array", "description": "Python files with functions"}],
}


def _configured_files(config: str | None) -> list[str]:
    if config is None:
        return []
    from flow_singer.plugins.prepare import read_config

    files = read_config(config)[0].get("files", [])
    if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
        raise ConfigError("--config: 'files' is not a list of paths.", 'For example: {"files": ["t.py"]}')
    return files
