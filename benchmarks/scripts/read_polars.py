"""A file streamed to stdout as JSON Lines with polars: read_polars.py FILE."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

name = sys.argv[1]
scan = {".csv": pl.scan_csv, ".jsonl": pl.scan_ndjson, ".parquet": pl.scan_parquet}[Path(name).suffix]
scan(name).sink_ndjson("/dev/stdout")
