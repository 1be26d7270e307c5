"""`flow run`."""

from __future__ import annotations

import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flow_singer.cli import _options
from flow_singer.cli._completion import (
    complete_file,
    complete_rule,
    complete_run,
    complete_state_id,
    complete_target,
)
from flow_singer.cli._context import Cli
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._logging import set_context
from flow_singer.cli._optionvars import Verb, is_given, set_variable
from flow_singer.cli._summary import tell_summary
from flow_singer.errors import EXIT_OK, ConfigError
from flow_singer.process.runcontext import context_of
from flow_singer.process.status import StatusWriter

if TYPE_CHECKING:
    from flow_singer.singer.messages import MessageReader
    from flow_singer.stages.tapoptions import TapOptions
    from flow_singer.stages.workspace import Workspace


@click.command("run", cls=Verb)
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="TAP|PATH [FILE.py ...] [TARGET|DIR/] | JOB",
    shell_complete=complete_run,
)
@click.option(
    "--select",
    multiple=True,
    shell_complete=complete_rule,
    metavar="RULE",
    help="As in meltano.yml: 'issues.*', '!issues.body'.",
)
@_options.tap_config
@click.option(
    "--target-config",
    shell_complete=complete_file,
    metavar="FILE|JSON",
    help="The target's config, likewise.",
)
@click.option("--catalog", type=click.Path(path_type=Path), metavar="FILE", help="Catalog to use as it is.")
@click.option("--refresh-catalog", envvar="MELTANO_RUN_REFRESH_CATALOG", is_flag=True, help="Discover anew.")
@click.option("--state", type=click.Path(path_type=Path), metavar="FILE", help="State to resume from.")
@click.option(
    "--state-id",
    envvar="FLOW_STATE_ID",
    shell_complete=complete_state_id,
    metavar="ID",
    help="Bookmark to resume from.",
)
@click.option(
    "--to",
    shell_complete=complete_target,
    metavar="TARGET|DIR/",
    help="Resume from the bookmark this tap has there.",
)
@click.option(
    "--full-refresh", envvar="MELTANO_RUN_FULL_REFRESH", is_flag=True, help="Begin at the beginning."
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="The first N records of each stream; no bookmark."
)
@_options.noise
@_options.package_format
@click.option(
    "--force",
    envvar="MELTANO_RUN_FORCE",
    is_flag=True,
    help="Run though another run has the same bookmark.",
)
@_options.on_incomplete
@click.option(
    "--strict/--no-strict", default=None, help="Fail where a function's stream never came. [default: strict]"
)
@click.option(
    "--batch-records", type=click.IntRange(1), metavar="N", help="Records a function gets. [default: 10000]"
)
@_options.expect
@_options.reject
@_options.max_rejects
@_options.csv_null
@_options.write_mode
@_options.partition_by
@_options.contract
@_options.descriptor
@_options.check
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
    on_incomplete: str | None,
    strict: bool | None,
    batch_records: int | None,
    expect: Path | None,
    reject: Path | None,
    max_rejects: int | None,
    csv_null: str | None,
    write_mode: str,
    partition_by: str | None,
    contract: str | None,
    descriptor: Path | None,
    check: bool,
    plain: bool,
) -> int:
    """Run a tap, or a whole pipeline.

    Data may stand in place of a tap: a file, a glob, a Data Package, an address. With one name, the tap's messages go to stdout. With a target or a folder, everything runs under one
    supervisor: real exit codes, bookmarks, a summary.

    \b
    flow run tap-github | flow transform t.py | flow load target-csv
    flow run tap-github t.py target-csv
    flow run sales.csv t.py out/
    flow run tap-demo --limit 5
    """
    from flow_singer.cli._meltano import heed_meltano
    from flow_singer.cli._words import is_job
    from flow_singer.stages.tapoptions import TapOptions
    from flow_singer.state.documents import checked_id

    workspace = cli.workspace
    if not StatusWriter(workspace.environ).supervised:
        heed_meltano(workspace.environ)
    if max_rejects is not None and reject is None:
        raise click.UsageError("--max-rejects needs --reject FILE.")
    if to is not None and state_id is not None:
        raise ConfigError(
            "--to and --state-id exclude each other.",
            "Leave one of them out: --to names the target of the bookmark, --state-id the bookmark itself.",
        )
    if state_id is not None:
        checked_id(state_id)
    refuse_idle(_idle_beside(catalog is not None, full_refresh, limit))
    options = TapOptions(
        plain=plain,
        select=select,
        catalog=catalog,
        state=state,
        state_id=state_id,
        full_refresh=full_refresh,
        refresh_catalog=refresh_catalog,
        limit=limit,
        forward_noise=noise == "stderr",
    )
    ctx = click.get_current_context()
    if len(words) > 1 or is_job(workspace, words[0]):
        from flow_singer.cli._pipeline import PipelineOptions, run_pipelines

        state_id = _bookmark_of_pipeline(ctx, state_id, workspace.environ.get("FLOW_LOAD_STATE_ID"))
        pipeline = PipelineOptions(
            config,
            target_config,
            form if is_given(ctx, "form") else None,
            noise if is_given(ctx, "noise") else None,
            force,
            to,
            on_incomplete,
            strict,
            batch_records,
            reject,
            max_rejects,
            csv_null,
            check,
            expect,
            write_mode,
            partition_by,
            contract,
            descriptor,
        )
        return run_pipelines(cli, words, replace(options, state_id=state_id), pipeline)
    from flow_singer.cli._pipeline import idle_without_files

    refuse_idle(idle_without_files())
    return _run_tap(cli, words[0], options, config, to)


def _idle_beside(catalog: bool, full_refresh: bool, limit: int | None) -> list[Idle]:
    """What another option of the same command leaves nothing to do for."""
    idle = []
    if catalog:
        why = "does nothing beside --catalog, which is used as it is."
        idle += [Idle("select", why), Idle("refresh_catalog", why)]
    if limit is not None:
        why = "does nothing beside --limit, which begins at the beginning and moves no bookmark."
        idle += [Idle("state", why), Idle("state_id", why), Idle("to", why)]
    elif full_refresh:
        why = "is left aside: --full-refresh begins at the beginning."
        idle += [Idle("state", why, typed_too=True), Idle("to", why, typed_too=True)]
    return idle


def _bookmark_of_pipeline(ctx: click.Context, state_id: str | None, of_load: str | None) -> str | None:
    """The bookmark that was named for a whole pipeline; one for its last stage alone would leave a gap."""
    variable = set_variable(ctx, "state_id")
    if variable and of_load and of_load != state_id:
        raise ConfigError(
            f"{variable} and FLOW_LOAD_STATE_ID name two bookmarks for one pipeline: {state_id}, {of_load}.",
            "Unset one of them.",
        )
    return state_id or of_load or None


def _bookmark_in(workspace: Workspace, tap: str, target: str) -> str:
    """The bookmark of a tap in a target; a target that is not found must at least have one."""
    from flow_singer.cli._words import refuse_other_kind
    from flow_singer.plugins.programs import find_plugin

    bookmark = workspace.bookmark_id(tap, target)
    refuse_other_kind(workspace, target, "loaders")
    if workspace.store.get(bookmark) is None:
        find_plugin(target, "loaders", workspace.project, environ=workspace.environ)
    return bookmark


def _run_tap(cli: Cli, name: str, options: TapOptions, config: str | None, to: str | None) -> int:
    from flow_singer.cli._liveline import is_last_stage, stage_line
    from flow_singer.cli._pluginlines import PluginLines
    from flow_singer.cli._words import refuse_other_kind
    from flow_singer.plugins.prepare import prepare
    from flow_singer.process.interrupts import interruptible
    from flow_singer.stages.extract import run_tap
    from flow_singer.stages.load import is_folder

    if not sys.stdout.writable():
        raise ConfigError(
            "stdout is closed.", f"Send the messages somewhere: flow run {name} | flow load TARGET"
        )
    workspace = cli.workspace
    refuse_other_kind(workspace, name, "extractors")
    refuse_idle(
        Idle(option, "has no use here: the messages go to stdout.")
        for option in (
            *("target_config", "force", "on_incomplete", "reject", "max_rejects"),
            *_options.FOR_PACKAGES,
        )
    )
    refuse_idle(
        [
            Idle(
                "expect",
                "has no use here: the messages go to stdout.",
                f"Name a target, or put it behind a pipe: flow run {name} | flow transform --expect FILE",
            )
        ]
    )
    if to is not None:
        if is_folder(to):
            bookmark = workspace.package_bookmark_id(name)
            options = replace(options, state_id=bookmark, package=Path(to))
        else:
            options = replace(options, state_id=_bookmark_in(workspace, name, to))
    context = context_of(workspace.environ)
    options = replace(options, run=context.run if context else uuid.uuid4().hex)
    set_context(run=options.run)
    status = StatusWriter(workspace.environ)
    said = PluginLines(cli, name)

    def count(reader: MessageReader) -> None:
        status.send(records=reader.records, bytes=reader.size_bytes)
        line.update(reader.records, reader.size_bytes)

    with interruptible(), stage_line(cli, name, draws=is_last_stage()) as line, said.told_on_failure():
        tap = prepare(name, "extractors", workspace.project, config=config, environ=workspace.environ)
        result = run_tap(
            tap,
            workspace.project,
            workspace.store,
            options,
            out=1,
            environ=workspace.environ,
            show=said.show,
            progress=count,
            suffix=workspace.state_id_suffix,
        )
    status.send(records=result.records, bytes=result.size_bytes, seconds=result.seconds)
    if not status.supervised:
        tell_summary(name, result.records, result.size_bytes, result.seconds)
    return EXIT_OK
