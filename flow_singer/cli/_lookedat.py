"""What verbs that only look at data share: a stream on stdin, and a tap before it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flow_singer.cli._context import Cli
from flow_singer.cli._liveline import stage_line
from flow_singer.process.status import StatusWriter

if TYPE_CHECKING:
    from flow_singer.singer.messages import MessageReader
    from flow_singer.tabular.parallel import ParallelDecoder


@contextlib.contextmanager
def looking_at_stdin(
    cli: Cli, verb: str
) -> Iterator[tuple[ParallelDecoder, Callable[[MessageReader], None]]]:
    """Give what decodes the records of the stream on stdin, and what shows how far it is."""
    from flow_singer.process.interrupts import interruptible
    from flow_singer.tabular.parallel import ParallelDecoder

    status = StatusWriter(cli.workspace.environ)

    def count(reader: MessageReader) -> None:
        status.send(records=reader.records, bytes=reader.size_bytes)
        line.update(reader.records, reader.size_bytes)

    with (
        interruptible(),
        contextlib.closing(ParallelDecoder()) as parallel,
        stage_line(cli, verb, draws=True) as line,
    ):
        parallel.expect_input(0)
        yield parallel, count


def look_behind_tap(
    cli: Cli, verb: str, tap: str, given: Mapping[str, Any], *, limit: Sequence[str], words: Sequence[str]
) -> int:
    """Run `flow run TAP | flow VERB -` under one supervisor; no bookmark moves.

    Args:
        cli: the general options.
        verb: looks at what the tap sends.
        tap: its name.
        given: the verb's options, of which `noise` and `config` are the tap's.
        limit: options of the tap's stage that say how much of it is looked at.
        words: options of the stage that looks.

    Returns:
        An exit code.
    """
    from flow_singer.cli._pipeline import run_supervised
    from flow_singer.stages.pipeline import Stage

    project = cli.workspace.project
    shared = ["--environment", project.environment or "null"] if project else []
    config = {} if given["config"] is None else {"FLOW_RUN_CONFIG": given["config"]}
    run = Stage(tap, (*shared, "run", tap, "--noise", given["noise"], *limit), config)
    look = Stage("-", (*shared, verb, "-", *words))
    return run_supervised(cli, f"{tap} → {verb}", [run, look])


def given_options(given: Mapping[str, Any], *names: str) -> list[str]:
    """The options of these names that were given a value, as they are typed."""
    return [
        word
        for name in names
        if given[name] is not None
        for word in (f"--{name.replace('_', '-')}", str(given[name]))
    ]
