"""records.jsonl into a file with DuckDB: duckdb_write.py csv|parquet."""

from __future__ import annotations

import sys

import duckdb

form = sys.argv[1]
records = duckdb.read_json("records.jsonl", format="newline_delimited")
columns = []
for name, kind in zip(records.columns, records.types, strict=True):
    is_text = form == "csv" and kind.id in {"struct", "list", "map"}
    columns.append(f'to_json("{name}") AS "{name}"' if is_text else f'"{name}"')
result = records.select(", ".join(columns))
result.write_csv("out.csv") if form == "csv" else result.write_parquet("out.parquet")
