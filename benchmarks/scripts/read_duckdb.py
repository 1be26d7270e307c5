"""A file copied to stdout as JSON Lines with DuckDB: read_duckdb.py FILE."""

from __future__ import annotations

import sys

import duckdb

duckdb.sql(f"COPY (FROM '{sys.argv[1]}') TO '/dev/stdout' (FORMAT json)")
