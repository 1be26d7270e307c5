"""The words of `flow run` as stages of a pipeline, and what a person sees of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from flow_singer.cli._context import Cli
from flow_singer.cli._ending import show_error
from flow_singer.cli._hints import in_words_of_run
from flow_singer.cli._idle import Idle, refuse_idle
from flow_singer.cli._optionvars import variables_of
from flow_singer.cli._progress import Progress, tell_bookmark, tell_summary
from flow_singer.cli._words import is_file, split_blocks, target_of
from flow_singer.errors import EXIT_OK, EXIT_PIPE, EXIT_REJECTS, ConfigError
from flow_singer.plugins.prepare import read_config
from flow_singer.process.interrupts import interruptible
from flow_singer.stages.load import is_folder
from flow_singer.stages.pipeline import Stage, StageReport, Verdict, run_stages
from flow_singer.stages.tapoptions import TapOptions
from flow_singer.stages.workspace import Workspace


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


def run_pipelines(cli: Cli, words: Sequence[str], options: TapOptions, pipeline: PipelineOptions) -> int:
    """Run one pipeline, or those of a job one after the other; the first that fails is the last.

    Raises:
        ConfigError: the words are no pipeline.
    """
    _check_configs(pipeline)  # first: a torn one may have left its secrets among the words
    blocks = split_blocks(cli.workspace, words)
    _refuse_idle_options(blocks, options, pipeline)
    code = EXIT_OK
    for block in blocks:
        code = max(code, _run_one(cli, block, options, pipeline))
        if code not in (EXIT_OK, EXIT_REJECTS):
            return code
    return code


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
    if not any(is_file(word) for block in blocks for word in block):
        refuse_idle([IDLE_STRICT])
    targets = [target for block in blocks if (target := target_of(block)) is not None]
    folders = [target for target in targets if is_folder(target)]
    plugins = [target for target in targets if not is_folder(target)]
    if targets:
        refuse_idle(_idle_with_target(targets[0], pipeline))
    if not folders:
        refuse_idle([Idle("form", "has no use here: there is no Data Package (a folder that ends in /).")])
    if not plugins:
        refuse_idle(_idle_without_plugin(folders[0] if folders else None))


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


def _idle_without_plugin(folder: str | None) -> list[Idle]:
    """What is for a target and its bookmark, where there is a package or stdout in its place."""
    if folder is None:
        why = "has no use here: there is no target."
        return [Idle(name, why) for name in ("target_config", "force", "on_incomplete")]
    why = f"has no use for {folder}: a package is replaced whole and keeps no bookmark."
    return [Idle(name, why) for name in ("state", "state_id", "target_config", "force", "on_incomplete")]


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


IDLE_STRICT = Idle(
    "strict", "is about functions, and this run has no file of them.", "Leave it out, or name one: t.py"
)


def _run_one(cli: Cli, block: Sequence[str], options: TapOptions, pipeline: PipelineOptions) -> int:
    progress = Progress(wanted=cli.progress)
    title = " → ".join(block)
    with interruptible():
        try:
            stages = make_stages(cli.workspace, block, options, pipeline)
            verdict = run_stages(
                stages,
                environ=_environ_of_stages(cli.workspace.environ),
                show=lambda line: _show(progress, line),
                progress=lambda reports: _draw(progress, reports),
            )
        finally:
            progress.clear()
    return _tell(verdict, title, [_verb(stage) for stage in stages])


def _environ_of_stages(environ: Mapping[str, str]) -> dict[str, str]:
    """The options of this command, as variables or on the command line, reach the stages as arguments only.

    Those of `flow transform` and `flow load` are theirs; what this command was given goes before them.
    """
    ours = variables_of(click.get_current_context().command)
    passed = {name: value for name, value in environ.items() if name not in ours}
    general = click.get_current_context().find_root().params
    return {**passed, "FLOW_LOG_LEVEL": general["log_level"], "FLOW_LOG_FORMAT": general["log_format"]}


def make_stages(
    workspace: Workspace, block: Sequence[str], options: TapOptions, pipeline: PipelineOptions
) -> list[Stage]:
    """The `flow` commands of a pipeline.

    A package is replaced whole, so its tap always begins at the beginning; a target has its own bookmark.
    """
    tap, *rest = block
    target = target_of(block)
    files = rest[:-1] if target is not None else rest
    project = workspace.project
    shared = ["--environment", project.environment or "null"] if project else []
    noise = _option("--noise", pipeline.noise)
    full_refresh = options.full_refresh or (target is not None and is_folder(target))
    bookmark = options.state_id
    if target is not None:
        bookmark = None if is_folder(target) else bookmark or workspace.bookmark_id(tap, target)
    run = [*shared, "run", tap, *noise]
    run += [word for rule in options.select for word in ("--select", rule)]
    run += ["--refresh-catalog"] * options.refresh_catalog + ["--full-refresh"] * full_refresh
    run += _option("--catalog", options.catalog) + _option("--limit", options.limit)
    if not full_refresh:
        run += _option("--state", options.state)
    if options.limit is None:
        run += _option("--state-id", bookmark)
    stages = [Stage(tap, tuple(run), _variable("FLOW_RUN_CONFIG", pipeline.config))]
    if files:
        plain = ["--plain"] * options.plain
        strict = {None: [], True: ["--strict"], False: ["--no-strict"]}[pipeline.strict]
        stages.append(Stage(" ".join(files), (*shared, "transform", *plain, *strict, *files)))
    if target is not None:
        load = [*shared, "load", target, *noise]
        load += _option("--format", pipeline.package_format if is_folder(target) else None)
        load += _option("--on-incomplete", pipeline.on_incomplete)
        load += _option("--state-id", bookmark) + ["--force"] * (pipeline.force and not is_folder(target))
        stages.append(Stage(target, tuple(load), _variable("FLOW_LOAD_CONFIG", pipeline.target_config)))
    return stages


def _option(name: str, value: object) -> list[str]:
    return [] if value is None else [name, str(value)]


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
