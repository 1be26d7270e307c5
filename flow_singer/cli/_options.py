"""Options that several verbs have, spelt once."""

from __future__ import annotations

from pathlib import Path

import click

from flow_singer.cli._completion import complete_file

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
FOR_PACKAGES = ("form", "csv_null", "write_mode", "partition_by", "contract", "descriptor", "check")
"""The options, by their parameters, that have no use where no Data Package is written."""

package_format = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx"]),
    default="csv",
    show_default=True,
    help="Format of a Data Package.",
)
write_mode = click.option(
    "--write-mode",
    type=click.Choice(["replace", "append", "upsert"]),
    default="replace",
    show_default=True,
    help="Whether a Data Package is written anew, or grows; upsert goes by key.",
)
partition_by = click.option(
    "--partition-by",
    metavar="COLUMN[:UNIT]|run",
    help="Spread the rows of a Data Package's streams over files: created_at:month.",
)
contract = click.option(
    "--contract",
    type=click.Choice(["evolve", "freeze", "discard-row", "discard-value"]),
    help="What becomes of a SCHEMA that is other than that in the Data Package. [default: evolve, or contract: of "
    "the tap]",
)
descriptor = click.option(
    "--descriptor",
    type=click.Path(path_type=Path),
    shell_complete=complete_file,
    metavar="FILE",
    help="A datapackage.json or Table Schema of your own, laid over the one of the Data Package.",
)
on_incomplete = click.option(
    "--on-incomplete",
    type=click.Choice(["commit", "abort"]),
    help="What a target may do with a stream that was cut short. [default: commit; abort where it replaces]",
)
reject = click.option(
    "--reject",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Set bad lines, records and rows aside here, and go on.",
)
csv_null = click.option(
    "--csv-null", metavar="TEXT", help="How null is written in CSV, such as '\\N'. [default: empty]"
)
check = click.option(
    "--check", is_flag=True, help="Publish a CSV or JSON Lines package only if frictionless finds it valid."
)

expect = click.option(
    "--expect",
    type=click.Path(path_type=Path),
    shell_complete=complete_file,
    metavar="FILE",
    help="What streams must be (YAML or JSON), besides what meltano.yml says.",
)
tap_config = click.option(
    "--config",
    shell_complete=complete_file,
    metavar="FILE|JSON",
    help="The tap's config, over that of meltano.yml.",
)
refresh_catalog = click.option("--refresh-catalog", is_flag=True, help="Discover anew.")

as_json = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
yes = click.option("-y", "--yes", is_flag=True, help="Ask nothing. (Meltano's --force is the same.)")
force_as_yes = click.option("--force", is_flag=True, hidden=True)
