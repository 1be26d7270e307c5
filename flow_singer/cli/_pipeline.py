"""The words of `flow run` as stages of a pipeline, and what a person sees of it."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from flow_singer.cli._context import Cli
from flow_singer.cli._ending import show_error
from flow_singer.cli._hints import in_words_of_run
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._liveline import LiveLine
from flow_singer.cli._logging import set_context
from flow_singer.cli._options import FOR_PACKAGES
from flow_singer.cli._optionvars import variables_of
from flow_singer.cli._pluginlines import shows_chatter
from flow_singer.cli._runlog import new_log
from flow_singer.cli._summary import tell_bookmark, tell_summary
from flow_singer.cli._terminal import can_draw, has_colours, is_terminal, write_line
from flow_singer.cli._words import is_file, is_job, split_blocks, target_of
from flow_singer.datapackage.partitionby import PartitionBy
from flow_singer.errors import EXIT_OK, EXIT_PIPE, EXIT_REJECTS, ConfigError
from flow_singer.plugins.prepare import read_config
from flow_singer.plugins.programs import find_plugin
from flow_singer.process.interrupts import interruptible
from flow_singer.process.runcontext import RunContext
from flow_singer.stages.expected import expected_of_tap
from flow_singer.stages.load import is_folder
from flow_singer.stages.pipeline import Stage, StageReport, Verdict, run_stages
from flow_singer.stages.tapoptions import TapOptions
from flow_singer.stages.workspace import Workspace

logger = logging.getLogger("flow_singer")


@dataclass(frozen=True)
class PipelineOptions:
    """Options of `flow run` that are not the tap's; None where they were not given."""

    config: str | None
    target_config: str | None
    package_format: str | None
    noise: str | None
    force: bool
    to: str | None
    on_incomplete: str | None = None
    strict: bool | None = None
    batch_records: int | None = None
    reject: Path | None = None
    max_rejects: int | None = None
    csv_null: str | None = None
    check: bool = False
    expect: Path | None = None
    write_mode: str = "replace"
    partition_by: str | None = None
    contract: str | None = None
    descriptor: Path | None = None

    def grows(self, target: str) -> bool:
        """Whether the target is a package that is added to, and keeps the bookmark of its tap."""
        return is_folder(target) and self.write_mode != "replace"


def run_pipelines(cli: Cli, words: Sequence[str], options: TapOptions, pipeline: PipelineOptions) -> int:
    """Run one pipeline, or those of a job one after the other; the first that fails is the last.

    Raises:
        ConfigError: the words are no pipeline.
    """
    _check_configs(pipeline)  # first: a torn one may have left its secrets among the words
    blocks = split_blocks(cli.workspace, words)
    _refuse_idle_options(cli.workspace, blocks, options, pipeline)
    code = EXIT_OK
    job = words[0] if len(words) == 1 and is_job(cli.workspace, words[0]) else None
    for task, block in enumerate(blocks, 1):
        context = RunContext(
            uuid.uuid4().hex,
            job,
            task,
            str(new_log(cli.workspace, "-to-".join(block))),
            shows_chatter(cli),
            draws=cli.progress and can_draw(),
            terminal=is_terminal(),
            colours=has_colours(),
        )
        number = (
            f" (task {task} of {len(blocks)}{f' of job {job}' if job else ''})" if len(blocks) > 1 else ""
        )
        code = max(code, _run_one(cli, block, options, pipeline, context, number))
        if code not in (EXIT_OK, EXIT_REJECTS):
            return code
    return code


def _refuse_idle_options(
    workspace: Workspace, blocks: Sequence[Sequence[str]], options: TapOptions, pipeline: PipelineOptions
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
    if not any(is_file(word) for block in blocks for word in block):
        refuse_idle(idle_without_files())
        looked_at = pipeline.expect or any(expected_of_tap(workspace.project, block[0]) for block in blocks)
        if not looked_at and not any(
            _sets_aside(workspace, target) for block in blocks if (target := target_of(block))
        ):
            refuse_idle([_IDLE_REJECT])
    targets = [target for block in blocks if (target := target_of(block)) is not None]
    folders = [target for target in targets if is_folder(target)]
    plugins = [target for target in targets if not is_folder(target)]
    if targets:
        refuse_idle(_idle_with_target(targets[0], pipeline))
    if not folders:
        why = "has no use here: there is no Data Package (a folder that ends in /)."
        refuse_idle([Idle(name, why) for name in FOR_PACKAGES])
    if pipeline.partition_by is not None:
        PartitionBy.parse(pipeline.partition_by)  # before a tap begins
    if not plugins:
        refuse_idle(_idle_without_plugin(folders[0] if folders else None, pipeline))


def _idle_with_target(target: str, pipeline: PipelineOptions) -> list[Idle]:
    return [
        Idle(
            "to",
            f"goes with a shell pipe: here the target is {target}.",
            "Leave --to out; --state-id names another bookmark.",
            f"--to {pipeline.to}",
        ),
        Idle("plain", f"is for stdout, but the messages go to {target}."),
    ]


def _idle_without_plugin(folder: str | None, pipeline: PipelineOptions) -> list[Idle]:
    """What is for a target and its bookmark, where there is a package or stdout in its place."""
    if folder is None:
        why = "has no use here: there is no target."
        return [Idle(name, why) for name in ("target_config", "force", "on_incomplete")]
    names = ["state_id", "target_config", "force", "on_incomplete"]
    if pipeline.grows(folder):
        why = f"has no use for {folder}: a package is published whole or not at all, and keeps its bookmark itself."
    else:
        why = f"has no use for {folder}: a package is replaced whole and keeps no bookmark."
        names.insert(0, "state")
    return [Idle(name, why) for name in names]


def _check_configs(pipeline: PipelineOptions) -> None:
    """Tell a broken config by the option of this command; a stage knows it as its own `--config`."""
    for option, value in (("--config", pipeline.config), ("--target-config", pipeline.target_config)):
        if value is not None and os.path.exists(value) and not os.path.isfile(value):
            continue  # it may be a pipe, to be read once
        try:
            read_config(value)
        except ConfigError as error:
            said = (text and text.replace("--config", option) for text in (error.message, error.hint))
            raise ConfigError(*map(str, filter(None, said))) from error


def idle_without_files() -> list[Idle]:
    """What is for functions, where a run has none."""
    why, way_out = "is about functions, and this run has no file of them.", "Leave it out, or name one: t.py"
    return [Idle("strict", why, way_out), Idle("batch_records", why, way_out)]


_IDLE_REJECT = Idle(
    "reject",
    "would stay empty: the target reads its records itself, and there is no file of functions.",
    "Leave it out, or load into a folder or a bundled target.",
)


def _sets_aside(workspace: Workspace, target: str) -> bool:
    """Whether bad records can be set aside on the way into a target: Flow reads them, or the target is its own."""
    if is_folder(target):
        return True
    found = find_plugin(target, "loaders", workspace.project, environ=workspace.environ)
    return found.source == "bundled"


def _run_one(
    cli: Cli,
    block: Sequence[str],
    options: TapOptions,
    pipeline: PipelineOptions,
    context: RunContext,
    number: str,
) -> int:
    title = " → ".join(block)
    set_context(run=context.run, job=context.job, task=context.task)
    logger.info("%s begins%s, run %s.", title, number, context.run[:8])
    with interruptible(), LiveLine(title, wanted=cli.progress) as line:
        stages = make_stages(cli.workspace, block, options, pipeline)
        verdict = run_stages(
            stages,
            environ={**_environ_of_stages(cli.workspace.environ), **context.variable()},
            show=write_line,
            progress=lambda reports: _draw(line, reports),
        )
    return _tell(verdict, title, [_verb(stage) for stage in stages])


def run_supervised(cli: Cli, title: str, stages: Sequence[Stage]) -> int:
    """Run stages whose last one answers on stdout by itself; say why they failed, unless that one has."""
    context = RunContext(
        uuid.uuid4().hex,
        None,
        1,
        str(new_log(cli.workspace, title.split(maxsplit=1)[0])),
        shows_chatter(cli),
        draws=cli.progress and can_draw(),
        terminal=is_terminal(),
        colours=has_colours(),
    )
    set_context(run=context.run, job=None, task=context.task)
    with interruptible(), LiveLine(title, wanted=cli.progress) as line:
        verdict = run_stages(
            stages,
            environ={**_environ_of_stages(cli.workspace.environ), **context.variable()},
            show=write_line,
            progress=lambda reports: _draw(line, reports),
        )
    cause = verdict.cause
    if cause is not None and (cause.fields.get("error") or cause is not verdict.stages[-1] or cause.code < 0):
        show_error(str(cause.fields.get("error") or cause.ending), cause.fields.get("hint"), cause.exit_code)
    return verdict.exit_code


def _environ_of_stages(environ: Mapping[str, str]) -> dict[str, str]:
    """The options of this command, as variables or on the command line, reach the stages as arguments only.

    Those of `flow transform` and `flow load` are theirs; what this command was given goes before them.
    """
    ours = variables_of(click.get_current_context().command)
    passed = {name: value for name, value in environ.items() if name not in ours}
    general = click.get_current_context().find_root().params
    return {
        **passed,
        "FLOW_LOG_LEVEL": general["log_level"],
        "FLOW_LOG_FORMAT": general["log_format"],
        "FLOW_QUIET": "1" if general["quiet"] else "",
    }


def make_stages(
    workspace: Workspace, block: Sequence[str], options: TapOptions, pipeline: PipelineOptions
) -> list[Stage]:
    """The `flow` commands of a pipeline.

    Where a package is replaced whole, its tap begins at the beginning; one that grows keeps the bookmark of its tap
    itself; a target has its own.
    """
    tap, *rest = block
    target = target_of(block)
    files = rest[:-1] if target is not None else rest
    project = workspace.project
    shared = ["--environment", project.environment or "null"] if project else []
    noise = _option("--noise", pipeline.noise)
    grows = target is not None and pipeline.grows(target)
    full_refresh = options.full_refresh or (target is not None and is_folder(target) and not grows)
    bookmark = options.state_id
    if target is not None:
        bookmark = None if is_folder(target) else bookmark or workspace.bookmark_id(tap, target)
    run = [*shared, "run", tap, *noise]
    run += [word for rule in options.select for word in ("--select", rule)]
    run += ["--refresh-catalog"] * options.refresh_catalog + ["--full-refresh"] * full_refresh
    run += _option("--catalog", options.catalog) + _option("--limit", options.limit)
    if not full_refresh:
        run += _option("--state", options.state)
    if grows and not full_refresh and options.limit is None and options.state is None:
        run += _option("--to", target)
    if options.limit is None:
        run += _option("--state-id", bookmark)
    stages = [Stage(tap, tuple(run), _variable("FLOW_RUN_CONFIG", pipeline.config))]
    expected = expected_of_tap(project, tap)
    if files or expected or pipeline.expect:
        plain = ["--plain"] * options.plain
        strict = {None: [], True: ["--strict"], False: ["--no-strict"]}[pipeline.strict]
        transform = [*shared, "transform", *plain, *strict, *_rejecting(pipeline)]
        transform += _option("--batch-records", pipeline.batch_records)
        transform += _option("--expect", pipeline.expect) + _option("--of", tap if expected else None)
        stages.append(Stage(" ".join(files) or "expectations", (*transform, *files)))
    if target is not None:
        load = [*shared, "load", target, *noise]
        load += _option("--format", pipeline.package_format if is_folder(target) else None)
        load += _option("--on-incomplete", pipeline.on_incomplete)
        if is_folder(target):
            load += _option("--csv-null", pipeline.csv_null) + ["--check"] * pipeline.check
            load += _option("--write-mode", pipeline.write_mode if grows else None)
            load += _option("--partition-by", pipeline.partition_by)
            load += _option("--contract", pipeline.contract) + _option("--descriptor", pipeline.descriptor)
        if _sets_aside(workspace, target):
            load += _rejecting(pipeline)
        load += _option("--state-id", bookmark) + ["--force"] * (pipeline.force and not is_folder(target))
        stages.append(Stage(target, tuple(load), _variable("FLOW_LOAD_CONFIG", pipeline.target_config)))
    return stages


def _rejecting(pipeline: PipelineOptions) -> list[str]:
    """The options by which a stage sets aside what it cannot use; all stages append to one file."""
    return _option("--reject", pipeline.reject) + _option("--max-rejects", pipeline.max_rejects)


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [name, str(value)]


def _variable(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


def _draw(line: LiveLine, reports: Sequence[StageReport]) -> None:
    """Draw the counts, or what a stage does while no records come."""
    line.update(*_counts(reports))
    if activity := next((one.fields["activity"] for one in reports if one.fields.get("activity")), ""):
        line.activity(activity)


def _counts(reports: Sequence[StageReport]) -> tuple[dict[str, int], int]:
    """Records per stream and bytes, as the last stage that counts them says: what was loaded."""
    for report in reversed(reports):
        if "records" in report.fields:
            return report.fields["records"], int(report.fields["bytes"])
    return {}, 0


def _verb(stage: Stage) -> str:
    """The command of a stage: its first word behind the general options."""
    words = iter(stage.arguments)
    for word in words:
        if not word.startswith("-"):
            return word
        next(words)
    raise ValueError(stage)


def _tell(verdict: Verdict, title: str, verbs: Sequence[str]) -> int:
    last = verdict.stages[-1]
    cause = verdict.cause
    if cause is None:
        records, size_bytes = _counts(verdict.stages)
        tell_summary(title, records, size_bytes, verdict.seconds, each=True)
    elif last.exit_code != EXIT_PIPE:  # the reader of our own stdout went, which ends quietly
        message = cause.fields.get("error") or cause.ending
        hint = cause.fields.get("hint")
        if hint is not None:
            hint = in_words_of_run(hint, verbs[verdict.stages.index(cause)])
        show_error(str(message), hint, cause.exit_code)
    if last.fields.get("bookmark"):
        tell_bookmark(last.fields["bookmark"])
    return verdict.exit_code
