"""Iterate the rows of a file with dlt's filesystem source: read_dlt.py FILE [--show]."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # no message to anybody while the clock runs

from dlt.sources.filesystem import filesystem, read_csv, read_jsonl, read_parquet

name, shown = sys.argv[1], sys.argv[2:] == ["--show"]
reader = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}[Path(name).suffix]
for row in filesystem(Path.cwd().as_uri(), file_glob=name) | reader():
    if shown:
        print(json.dumps(row, default=str))
