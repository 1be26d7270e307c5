"""`flow run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flow_singer.cli._context import Cli
from flow_singer.cli._progress import Progress, tell_summary
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.tapoptions import TapOptions
    from flow_singer.workspace import Workspace


@click.command("run")
@click.argument("words", nargs=-1, required=True, metavar="TAP [FILE.py ...] [TARGET|DIR/] | JOB")
@click.option(
    "--select", multiple=True, metavar="RULE", help="As in meltano.yml: 'issues.*', '!issues.body'."
)
@click.option("--config", metavar="FILE|JSON", help="The tap's config, over that of meltano.yml.")
@click.option("--target-config", metavar="FILE|JSON", help="The target's config, likewise.")
@click.option("--catalog", type=click.Path(path_type=Path), metavar="FILE", help="Catalog to use as it is.")
@click.option("--refresh-catalog", is_flag=True, help="Discover anew.")
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="State to resume from.")
@click.option(
    "--state-id", envvar=["FLOW_RUN_STATE_ID", "FLOW_STATE_ID"], metavar="ID", help="Bookmark to resume from."
)
@click.option("--to", metavar="TARGET", help="Resume from the bookmark this tap has in TARGET.")
@click.option("--full-refresh", is_flag=True, help="Begin at the beginning.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="The first N records of each stream; no bookmark."
)
@click.option(
    "--noise", type=click.Choice(["fail", "stderr"]), default="fail", show_default=True, help="Non-messages."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    default="csv",
    show_default=True,
    help="Format of a Data Package.",
)
@click.option("--force", is_flag=True, help="Run though another run has the same bookmark.")
@click.option(
    "--strict/--no-strict", default=None, help="Fail where a function's stream never came. [default: strict]"
)
@click.option("--plain", is_flag=True, help="No marks in the output.")
@click.pass_obj
def command(
    cli: Cli,
    words: tuple[str, ...],
    select: tuple[str, ...],
    config: str | None,
    target_config: str | None,
    catalog: Path | None,
    refresh_catalog: bool,
    state: Path | None,
    state_id: str | None,
    to: str | None,
    full_refresh: bool,
    limit: int | None,
    noise: str,
    form: str,
    force: bool,
    strict: bool | None,
    plain: bool,
) -> int:
    """Run a tap, or a whole pipeline.

    With one name, the tap's messages go to stdout. With a target or a folder, everything runs under one
    supervisor: real exit codes, bookmarks, a summary.

    \b
    flow run tap-github | flow transform t.py | flow load target-csv
    flow run tap-github t.py target-csv
    flow run tap-demo --limit 5
    """
    from flow_singer.tapoptions import TapOptions

    workspace = cli.workspace
    if to is not None and state_id is not None:
        raise ConfigError("--to and --state-id exclude each other.", "--to names the target of the bookmark.")
    options = TapOptions(
        plain=plain,
        select=select,
        catalog=catalog,
        state=state,
        state_id=workspace.bookmark_id(words[0], to) if to else state_id,
        full_refresh=full_refresh,
        refresh_catalog=refresh_catalog,
        limit=limit,
        forward_noise=noise == "stderr",
    )
    if len(words) > 1 or _is_job(workspace, words[0]):
        from flow_singer.cli._pipeline import PipelineOptions, run_pipelines

        pipeline = PipelineOptions(config, target_config, form, force, to, strict)
        return run_pipelines(cli, words, options, pipeline)
    if strict is not None:
        from flow_singer.cli._pipeline import refuse_idle_strict

        refuse_idle_strict()
    return _run_tap(cli, words[0], options, config)


def _is_job(workspace: Workspace, name: str) -> bool:
    project = workspace.project
    return project is not None and name in project.jobs and project.plugin("extractors", name) is None


def _run_tap(cli: Cli, name: str, options: TapOptions, config: str | None) -> int:
    from flow_singer.extract import run_tap
    from flow_singer.interrupts import interruptible
    from flow_singer.prepare import prepare
    from flow_singer.status import StatusWriter

    if not sys.stdout.writable():
        raise ConfigError(
            "stdout is closed.", f"Send the messages somewhere: flow run {name} | flow load TARGET"
        )
    workspace = cli.workspace
    status = StatusWriter(workspace.environ)
    progress = Progress(wanted=False)
    with interruptible():
        tap = prepare(name, "extractors", workspace.project, config=config, environ=workspace.environ)
        result = run_tap(
            tap,
            workspace.project,
            workspace.store,
            options,
            out=1,
            environ=workspace.environ,
            show=progress.show_line,
            progress=lambda reader: status.send(records=reader.records, bytes=reader.size_bytes),
        )
    status.send(records=result.records, bytes=result.size_bytes, seconds=result.seconds)
    if not status.supervised:
        tell_summary(name, result.records, result.size_bytes, result.seconds)
    return EXIT_OK
