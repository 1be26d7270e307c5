"""records.jsonl streamed into a file with polars: polars_write.py csv|parquet."""

from __future__ import annotations

import sys

import polars as pl

lazy = pl.scan_ndjson("records.jsonl")
if sys.argv[1] == "parquet":
    lazy.sink_parquet("out.parquet")
else:  # CSV has no nested values; a list can only be encoded within an object
    nested = [name for name, kind in lazy.collect_schema().items() if kind.is_nested()]
    encoded = [pl.struct(name).struct.json_encode().alias(name) for name in nested]
    lazy.with_columns(encoded).sink_csv("out.csv")
