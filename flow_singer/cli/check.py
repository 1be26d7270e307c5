"""`flow check`."""

from __future__ import annotations

import logging
from dataclasses import asdict

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json
from flow_singer.cli._completion import complete_plugin
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK, EXIT_USAGE
from flow_singer.wording import count_of

logger = logging.getLogger("flow_singer")


@click.command("check", cls=Verb)
@click.argument("names", nargs=-1, metavar="[JOB|PLUGIN ...]", shell_complete=complete_plugin)
@_options.as_json
@click.pass_obj
def command(cli: Cli, names: tuple[str, ...], as_json: bool) -> int:
    """Find what is wrong with a project, without running it.

    Nothing is started or installed. All environments are looked at, or the one that --environment names. A line
    on stdout for each finding; code 2 if one of them would stop a run, else 0.

    \b
    flow check
    flow check nightly
    """
    from flow_singer.cli._words import split_blocks
    from flow_singer.project.masking import mask_known
    from flow_singer.stages.projectcheck import check_project

    check = check_project(cli.workspace, names, lambda workspace, job: split_blocks(workspace, [job]))
    errors = sum(one.severity == "error" for one in check.findings)
    if as_json:
        answer_json([asdict(one) for one in check.findings])
        return EXIT_USAGE if errors else EXIT_OK
    for one in check.findings:
        place = one.file if one.line is None else f"{one.file}:{one.line}"
        said = " ".join(filter(None, (one.message, one.hint)))
        click.echo(mask_known(f"{place}: {one.severity}: {said}"))
    looked = ", ".join(
        count_of(len(found), noun)
        for found, noun in (
            (check.plugins, "plugin"),
            (check.jobs, "job"),
            (check.environments, "environment"),
        )
    )
    if check.findings:
        others = len(check.findings) - errors
        logger.info("%s, %s in %s.", count_of(errors, "error"), count_of(others, "warning"), looked)
    else:
        logger.info("Nothing is wrong: %s.", looked)
    return EXIT_USAGE if errors else EXIT_OK
