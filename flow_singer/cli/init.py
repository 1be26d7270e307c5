"""`flow init`."""

from __future__ import annotations

from pathlib import Path

import click

from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK


@click.command("init", cls=Verb)
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> int:
    """Make a small project that runs at once.

    It has a meltano.yml with the bundled connectors, a transform, a test of it. Nothing that is there is
    overwritten.

    \b
    flow init demo && cd demo && flow run tap-demo transforms/issues.py output/
    """
    from flow_singer.scaffold.newproject import make_project

    made = make_project(folder)
    for path in made:
        click.echo(f"  {path}", err=True)
    cd = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"\nTry it:\n  {cd}flow run tap-demo transforms/issues.py output/", err=True)
    return EXIT_OK
