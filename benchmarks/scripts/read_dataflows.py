"""Iterate the rows of a file or a Data Package with dataflows: read_dataflows.py FILE|FOLDER/ [--show]."""

from __future__ import annotations

import json
import sys

from dataflows import Flow, load

path, shown = sys.argv[1], sys.argv[2:] == ["--show"]
if path.endswith("/"):
    step = load(f"{path}datapackage.json")
else:
    step = load(path, format="ndjson") if path.endswith(".jsonl") else load(path)
for rows in Flow(step).datastream().res_iter:
    for row in rows:
        if shown:
            print(json.dumps(row, default=str))
