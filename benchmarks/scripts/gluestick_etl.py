"""A CSV snapshot, one column computed, and written with gluestick: gluestick_etl.py csv|parquet."""

from __future__ import annotations

import sys
from pathlib import Path

import gluestick

df = gluestick.Reader("sync-output").get("issues")
df["comments"] = df["comments"] + 1
Path("etl-output").mkdir()
gluestick.to_export(df, "issues", "etl-output", export_format=sys.argv[1])
