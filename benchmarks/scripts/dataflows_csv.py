"""records.jsonl into a Data Package of CSV with dataflows."""

from __future__ import annotations

import json
from pathlib import Path

from dataflows import Flow, dump_to_path


def issues():
    with Path("records.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


Flow(issues(), dump_to_path("out")).process()
