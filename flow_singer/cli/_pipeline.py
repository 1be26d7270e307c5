"""The words of `flow run` as stages of a pipeline, and what a person sees of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from flow_singer.cli._context import Cli
from flow_singer.cli._errors import show_error
from flow_singer.cli._progress import Progress, tell_bookmark, tell_summary
from flow_singer.errors import EXIT_OK, EXIT_PIPE, EXIT_REJECTS, ConfigError
from flow_singer.interrupts import interruptible
from flow_singer.loading import is_folder
from flow_singer.pipeline import Stage, StageReport, Verdict, run_stages
from flow_singer.prepare import read_config
from flow_singer.runner import describe_end
from flow_singer.tapoptions import TapOptions
from flow_singer.workspace import Workspace


@dataclass(frozen=True)
class PipelineOptions:
    """Options of `flow run` that are not the tap's."""

    config: str | None
    target_config: str | None
    package_format: str
    force: bool
    to: str | None


def run_pipelines(cli: Cli, words: Sequence[str], options: TapOptions, pipeline: PipelineOptions) -> int:
    """Run one pipeline, or those of a job one after the other; the first that fails is the last.

    Raises:
        ConfigError: the words are no pipeline.
    """
    for config in (pipeline.config, pipeline.target_config):
        if config is not None and not os.path.exists(config):  # a file may be a pipe, to be read once
            read_config(config)  # a torn one may have left its secrets among the words
    blocks = split_blocks(cli.workspace, words)
    _refuse_idle_options(blocks, options, pipeline)
    code = EXIT_OK
    for block in blocks:
        code = max(code, _run_one(cli, block, options, pipeline))
        if code not in (EXIT_OK, EXIT_REJECTS):
            return code
    return code


def split_blocks(workspace: Workspace, words: Sequence[str]) -> list[list[str]]:
    """Split words into pipelines: a tap, files of functions, a target or folder; stdout where it has no target.

    Args:
        workspace: where jobs are looked up.
        words: as on the command line; the name of a job stands for its tasks.

    Raises:
        ConfigError: the words do not read so; or they name something that Flow does not run yet.
    """
    project = workspace.project
    if project is not None:
        jobs = {name: job for name, job in project.jobs.items() if project.plugin("extractors", name) is None}
        words = [task for word in words for task in jobs.get(word, (word,))]
    blocks: list[list[str]] = [[]]
    for word in words:
        _refuse_unsupported(workspace, word)
        blocks[-1].append(word)
        if len(blocks[-1]) > 1 and not _is_file(word):
            blocks.append([])
    if not blocks[-1]:
        blocks.pop()
    elif len(blocks) > 1 or len(blocks[-1]) == 1:
        raise ConfigError(
            f"{' '.join(blocks[-1])!r} has no target.",
            "Write: flow run TAP [FILE.py ...] TARGET, or a folder that ends in / for a Data Package.",
        )
    for block in blocks:
        if _is_file(block[0]) or is_folder(block[0]):
            raise ConfigError(
                f"{block[0]!r} is no tap.", "A pipeline begins with a tap: flow run TAP … TARGET"
            )
    return blocks


def _is_file(word: str) -> bool:
    return re.search(r"\.py(:\w+)?$", word) is not None


def _refuse_unsupported(workspace: Workspace, word: str) -> None:
    project = workspace.project
    if project is None or _is_file(word) or is_folder(word):
        return
    if ":" in word or project.plugin("utilities", word) is not None:
        raise ConfigError(
            f"{word!r} is a command of a utility, which Flow does not run yet.",
            "Run the tap and target with flow, and the command after it in your schedule.",
        )
    if word in project.mappings or project.plugin("mappers", word) is not None:
        raise ConfigError(
            f"{word!r} is a mapper, which flow run does not start yet.",
            "Write it as functions of a .py file, or put the mapper into a shell pipe between flow run and flow load.",
        )


def _refuse_idle_options(
    blocks: Sequence[Sequence[str]], options: TapOptions, pipeline: PipelineOptions
) -> None:
    """An option that would do nothing, or harm, is refused by name."""
    given = {
        "--state": options.state,
        "--state-id": options.state_id,
        "--catalog": options.catalog,
        "--config": pipeline.config,
        "--target-config": pipeline.target_config,
    }
    wanted = [name for name, value in given.items() if value is not None]
    if len(blocks) > 1 and wanted:
        raise ConfigError(
            f"{wanted[0]} is for one pipeline, but there are {len(blocks)}.",
            "Run them one by one, or write it into meltano.yml.",
        )
    for block in blocks:
        target = block[-1] if len(block) > 1 and not _is_file(block[-1]) else None
        if target is None:
            continue
        if pipeline.to is not None:
            raise ConfigError(
                f"--to {pipeline.to} goes with a shell pipe: here the target is {target}.",
                "Leave --to out; --state-id names another bookmark.",
            )
        useless = {"--state", "--state-id", "--target-config"}.intersection(wanted)
        if is_folder(target) and useless:
            raise ConfigError(
                f"{min(useless)} has no use for {target}: a package is replaced whole and keeps no bookmark.",
                "Leave it out.",
            )


def _run_one(cli: Cli, block: Sequence[str], options: TapOptions, pipeline: PipelineOptions) -> int:
    progress = Progress(wanted=cli.progress)
    title = " → ".join(block)
    with interruptible():
        try:
            verdict = run_stages(
                make_stages(cli.workspace, block, options, pipeline),
                environ=_environ_of_stages(cli.workspace.environ),
                show=lambda line: _show(progress, line),
                progress=lambda reports: _draw(progress, reports),
            )
        finally:
            progress.clear()
    return _tell(verdict, title)


def _environ_of_stages(environ: Mapping[str, str]) -> dict[str, str]:
    """The options of this command, as variables or on the command line, reach the stages as arguments only."""
    passed = {
        name: value
        for name, value in environ.items()
        if not name.startswith("FLOW_RUN_") and name != "FLOW_STATE_ID"
    }
    general = click.get_current_context().find_root().params
    return {**passed, "FLOW_LOG_LEVEL": general["log_level"], "FLOW_LOG_FORMAT": general["log_format"]}


def make_stages(
    workspace: Workspace, block: Sequence[str], options: TapOptions, pipeline: PipelineOptions
) -> list[Stage]:
    """The `flow` commands of a pipeline.

    A package is replaced whole, so its tap always begins at the beginning; a target has its own bookmark.
    """
    tap, *rest = block
    target = rest.pop() if rest and not _is_file(rest[-1]) else None
    project = workspace.project
    shared = ["--environment", project.environment or "null"] if project else []
    run = [*shared, "run", tap]
    for rule in options.select:
        run += ["--select", rule]
    for flag, wanted in (
        ("--refresh-catalog", options.refresh_catalog),
        ("--full-refresh", options.full_refresh or (target is not None and is_folder(target))),
    ):
        run += [flag] * wanted
    for name, value in (
        ("--catalog", options.catalog),
        ("--state", options.state),
        ("--limit", options.limit),
    ):
        run += [name, str(value)] if value is not None else []
    noise = ["--noise", "stderr"] if options.forward_noise else []
    run += noise
    load = []
    if target is None:
        run += ["--state-id", options.state_id] if options.state_id else []
    elif is_folder(target):
        load = [*shared, "load", target, *noise, "--format", pipeline.package_format]
    else:
        bookmark = options.state_id or workspace.bookmark_id(tap, target)
        run += ["--state-id", bookmark]
        load = [*shared, "load", target, *noise, "--state-id", bookmark]
    if pipeline.force and load:
        load.append("--force")
    stages = [Stage(tap, tuple(run), _variable("FLOW_RUN_CONFIG", pipeline.config))]
    if rest:
        plain = ["--plain"] if options.plain and target is None else []
        stages.append(Stage(" ".join(rest), (*shared, "transform", *plain, *rest)))
    if target is not None:
        stages.append(Stage(target, tuple(load), _variable("FLOW_LOAD_CONFIG", pipeline.target_config)))
    return stages


def _variable(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


def _show(progress: Progress, line: str) -> None:
    progress.clear()
    click.echo(line, err=True)


def _draw(progress: Progress, reports: Sequence[StageReport]) -> None:
    progress.update(*_counts(reports))


def _counts(reports: Sequence[StageReport]) -> tuple[dict[str, int], int]:
    """Records per stream and bytes, as the last stage that counts them says: what was loaded."""
    for report in reversed(reports):
        if "records" in report.fields:
            return report.fields["records"], int(report.fields["bytes"])
    return {}, 0


def _tell(verdict: Verdict, title: str) -> int:
    last = verdict.stages[-1]
    cause = verdict.cause
    if cause is None:
        records, size_bytes = _counts(verdict.stages)
        tell_summary(title, records, size_bytes, verdict.seconds, each=True)
    elif last.exit_code != EXIT_PIPE:  # the reader of our own stdout went, which ends quietly
        message = cause.fields.get("error") or f"{cause.name} {describe_end(cause.code)}."
        show_error(str(message), cause.fields.get("hint"), cause.exit_code)
    if last.fields.get("bookmark"):
        tell_bookmark(last.fields["bookmark"])
    return verdict.exit_code
