"""Options that several verbs have, spelt once."""

from __future__ import annotations

import click

noise = click.option(
    "--noise", type=click.Choice(["fail", "stderr"]), default="fail", show_default=True, help="Non-messages."
)
nan = click.option(
    "--nan",
    type=click.Choice(["error", "null"]),
    default="error",
    show_default=True,
    help="Tokens NaN, Infinity.",
)
max_rejects = click.option(
    "--max-rejects", type=click.IntRange(0), help="Fail when more than this are set aside."
)
package_format = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    default="csv",
    show_default=True,
    help="Format of a Data Package.",
)
on_incomplete = click.option(
    "--on-incomplete",
    type=click.Choice(["commit", "abort"]),
    help="What a target may do with a stream that was cut short. [default: commit; abort where it replaces]",
)
