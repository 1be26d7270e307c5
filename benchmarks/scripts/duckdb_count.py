"""Number of rows of a table in a DuckDB file: duckdb_count.py FILE TABLE."""

from __future__ import annotations

import sys

import duckdb

connection = duckdb.connect(sys.argv[1], read_only=True)
print(connection.execute(f"SELECT count(*) FROM {sys.argv[2]}").fetchone()[0])
