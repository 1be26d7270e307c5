"""`flow install`."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from flow_singer.cli._completion import complete_plugin
from flow_singer.cli._context import Cli
from flow_singer.cli._ending import show_error
from flow_singer.cli._logging import tell
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK

if TYPE_CHECKING:
    from flow_singer.stages.install import Installation, Plan, Progress

logger = logging.getLogger("flow_singer")

_MOST_AT_ONCE = 4


@click.command("install", cls=Verb)
@click.argument("names", nargs=-1, metavar="[PLUGIN]...", shell_complete=complete_plugin)
@click.option("--clean", is_flag=True, help="Make an environment anew even if it is there.")
@click.option(
    "--parallelism",
    type=click.IntRange(1),
    metavar="N",
    help=f"How many at once. [default: one per core, {_MOST_AT_ONCE} at most]",
)
@click.pass_obj
def command(cli: Cli, names: tuple[str, ...], clean: bool, parallelism: int | None) -> int:
    """Install plugins before a run needs them.

    Those that are named, or all of meltano.yml that have a pip_url. One that is there is left as it is.

    \b
    flow install
    flow install tap-github target-jsonl
    flow install tap-github --clean
    """
    from flow_singer.stages.install import plan_installations

    plan = plan_installations(cli.workspace, names)
    for error in plan.doubtful:
        logger.warning("%s", error)
    for name, why in plan.needless.items():
        logger.info("%s needs no installing: %s.", name, why)
    if plan.installations:
        return _install(cli, plan, clean, parallelism or min(os.cpu_count() or 1, _MOST_AT_ONCE))
    if not names:
        logger.info("Nothing to install: no plugin of meltano.yml has a pip_url.")
    return EXIT_OK


def _install(cli: Cli, plan: Plan, clean: bool, parallelism: int) -> int:
    from flow_singer.cli._liveline import LiveLine
    from flow_singer.process.interrupts import interruptible
    from flow_singer.stages.install import install

    with interruptible(), LiveLine("installing", wanted=cli.progress) as line:
        install(
            cli.workspace,
            plan.installations,
            parallelism=parallelism,
            anew=clean,
            say=logger.info,
            relay=_relay if cli.verbose else lambda name, said: None,
            begun=lambda one: logger.info("Installing %s.", one.name, extra={"activity": "step"}),
            progress=lambda reached: line.activity(_activity(reached)),
            ended=_tell_end,
        )
    return _tell_all(plan.installations)


def _activity(reached: Progress) -> str:
    """What is being done, for the live line."""
    now = f", now {', '.join(reached.running)}" if reached.running else ""
    return f"{reached.done} of {reached.total}{now}"


def _relay(name: str, said: str) -> None:
    tell(f"{name}: {said}", plugin=name, line=said)


def _tell_end(one: Installation) -> None:
    if one.error is not None:
        show_error(one.error.message, one.error.hint, one.error.exit_code)
        return
    how = f"ready ({one.seconds:.1f} s)" if one.made else "already there"
    if one.shares is not None:
        how = f"ready: it shares the environment of {one.shares}"
    fields = {"plugin": one.name, "seconds": round(one.seconds, 3), "made": one.made}
    logger.info("%s is %s.", one.name, how, extra={"fields": fields})


def _tell_all(installations: Sequence[Installation]) -> int:
    """Say how it went as a whole; the exit code of the first that failed."""
    failed = [one for one in installations if one.error is not None]
    if not failed:
        if len(installations) > 1:
            logger.info("All %d are ready.", len(installations))
        return EXIT_OK
    assert failed[0].error is not None
    if len(installations) == 1:
        return failed[0].error.exit_code
    names = ", ".join(one.name for one in failed)
    ready = len(installations) - len(failed)
    rest = f" The other {f'{ready} are' if ready > 1 else 'one is'} ready." if ready else ""
    tell(
        f"{len(failed)} of {len(installations)} could not be installed: {names}.{rest}",
        level=logging.ERROR,
        failed=[one.name for one in failed],
    )
    return failed[0].error.exit_code
