"""records.jsonl into a folder or a DuckDB file with dlt: dlt_load.py filesystem|duckdb csv|parquet."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Files as the others write them, and no message to anybody while the clock runs.
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.filesystem import filesystem, read_jsonl

where, form = sys.argv[1:]
folder = Path.cwd()
if where == "duckdb":
    destination = dlt.destinations.duckdb(str(folder / "out.duckdb"))
else:
    destination = dlt.destinations.filesystem((folder / "out").as_uri())
issues = (filesystem(folder.as_uri(), file_glob="records.jsonl") | read_jsonl()).with_name("issues")
issues.apply_hints(write_disposition="replace")
issues.max_table_nesting = 0  # one table, lists in it as JSON, as the others have it
pipeline = dlt.pipeline(
    "benchmark", pipelines_dir=str(folder / "state"), destination=destination, dataset_name="data"
)
pipeline.run(issues, loader_file_format=form).raise_on_failed_jobs()
