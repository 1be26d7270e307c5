"""`flow load`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from flow_singer.cli import _options
from flow_singer.cli._completion import complete_file, complete_state_id, complete_target_or_folder
from flow_singer.cli._context import Cli
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._liveline import stage_line
from flow_singer.cli._logging import set_context
from flow_singer.cli._optionvars import Verb, is_given
from flow_singer.cli._pluginlines import PluginLines
from flow_singer.cli._summary import tell_bookmark, tell_rejects, tell_summary
from flow_singer.errors import EXIT_OK, EXIT_REJECTS, ConfigError

if TYPE_CHECKING:
    from flow_singer.checks.contractchoice import Contract
    from flow_singer.datapackage.formerpackage import WriteMode
    from flow_singer.datapackage.writer import FormatName
    from flow_singer.singer.marks import Header
    from flow_singer.singer.messages import MessageReader


@click.command("load", cls=Verb)
@click.argument("target", metavar="TARGET|DIR/", shell_complete=complete_target_or_folder)
@click.option(
    "--config",
    shell_complete=complete_file,
    metavar="FILE|JSON",
    help="The target's config, over that of meltano.yml.",
)
@click.option(
    "--state-id",
    envvar="FLOW_STATE_ID",
    shell_complete=complete_state_id,
    metavar="ID",
    help="Name of the bookmark. [default: ENVIRONMENT:TAP-to-TARGET]",
)
@_options.on_incomplete
@click.option("--require-end", is_flag=True, help="Refuse streams without marks.")
@click.option("--allow-empty", is_flag=True, help="No input at all is fine.")
@_options.noise
@click.option("--force", is_flag=True, help="Run though another run has the same bookmark.")
@_options.package_format
@_options.csv_null
@_options.write_mode
@_options.partition_by
@_options.contract
@_options.descriptor
@_options.reject
@_options.max_rejects
@_options.nan
@_options.check
@click.pass_obj
def command(
    cli: Cli,
    target: str,
    config: str | None,
    state_id: str | None,
    on_incomplete: Literal["commit", "abort"] | None,
    require_end: bool,
    allow_empty: bool,
    noise: str,
    force: bool,
    form: str,
    csv_null: str | None,
    write_mode: str,
    partition_by: str | None,
    contract: str | None,
    descriptor: Path | None,
    reject: Path | None,
    max_rejects: int | None,
    nan: str,
    check: bool,
) -> int:
    """Load messages into a target or a Data Package.

    A path that ends in / (or .zip) becomes a Data Package; anything else is a Singer target.

    \b
    flow run tap-demo | flow load target-csv
    flow run tap-demo | flow load out/ --format parquet
    flow run tap-demo --to out/ | flow load out/ --write-mode append
    """
    from flow_singer.cli._words import refuse_other_kind
    from flow_singer.process.interrupts import interruptible
    from flow_singer.process.status import StatusWriter
    from flow_singer.stages.inputstream import LoadOptions
    from flow_singer.stages.load import PackageOptions, is_folder, load_stream
    from flow_singer.state.documents import checked_id

    if sys.stdin is None or sys.stdin.isatty():
        raise ConfigError(
            "There is nothing on stdin.", f"Put it behind a tap: flow run TAP | flow load {target}"
        )
    if max_rejects is not None and reject is None:
        raise click.UsageError("--max-rejects needs --reject FILE.")
    if state_id is not None:
        checked_id(state_id)
    if is_folder(target):
        own_form = is_given(click.get_current_context(), "form")
        refuse_idle(_idle_for_package(target, form if own_form or write_mode == "replace" else None))
    else:
        refuse_other_kind(cli.workspace, target, "loaders")
        why = f"is for a Data Package (a folder that ends in /), and {target} is a target."
        refuse_idle(Idle(option, why) for option in _options.FOR_PACKAGES)
    options = LoadOptions(
        on_incomplete=on_incomplete,
        require_end=require_end,
        allow_empty=allow_empty,
        forward_noise=noise == "stderr",
        nan="null" if nan == "null" else "error",
        reject=reject,
        max_rejects=max_rejects,
    )
    status = StatusWriter(cli.workspace.environ)
    said = PluginLines(cli, target)

    def count(reader: MessageReader) -> None:
        status.send(records=reader.records, bytes=reader.size_bytes)
        line.update(reader.records, reader.size_bytes)

    def begun(header: Header | None) -> None:
        set_context(run=header.run if header else None)

    with interruptible(), stage_line(cli, target, draws=True) as line, said.told_on_failure():
        result = load_stream(
            cli.workspace,
            target,
            options,
            config=config,
            state_id=state_id,
            force=force,
            package=PackageOptions(
                cast("FormatName", form) if is_given(click.get_current_context(), "form") else None,
                csv_null,
                check,
                cast("WriteMode", write_mode),
                partition_by,
                cast("Contract | None", contract),
                descriptor,
            ),
            source=0,
            show=said.show,
            begun=begun,
            progress=count,
        )
    status.send(
        records=result.records, bytes=result.size_bytes, seconds=result.seconds, bookmark=result.bookmark
    )
    if not status.supervised:
        tell_summary(target, result.records, result.size_bytes, result.seconds)
        if result.bookmark:
            tell_bookmark(result.bookmark)
    if result.rejects:
        tell_rejects(result.rejects, reject)
    return EXIT_OK if result.rejects == 0 else EXIT_REJECTS


def _idle_for_package(target: str, form: str | None) -> list[Idle]:
    """What has nothing to do where a package is written, or one of this format; None: it has the format it has."""
    bookmark = f"has no use for {target}: a package is replaced whole, or keeps its bookmark itself."
    idle = [Idle("state_id", bookmark), Idle("force", bookmark)]
    idle.append(
        Idle("on_incomplete", f"has no use for {target}: a package is published whole or not at all.")
    )
    idle.append(Idle("config", f"is for a target, and {target} is a Data Package."))
    if other := {"parquet": "Parquet", "xlsx": "Excel"}.get(form or ""):
        idle.append(
            Idle("check", f"reads CSV and JSON Lines, not {other}.", "Leave it out, or choose --format csv.")
        )
    if form not in ("csv", "csv.gz", None):
        idle.append(Idle("csv_null", f"is for CSV, and the format is {form}."))
    return idle
