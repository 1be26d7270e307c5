"""Iterate the rows of a file or a Data Package with frictionless: read_frictionless.py FILE|FOLDER/ [--show]."""

from __future__ import annotations

import json
import sys

from frictionless import Package, Resource

path, shown = sys.argv[1], sys.argv[2:] == ["--show"]
resource = Package(f"{path}datapackage.json").resources[0] if path.endswith("/") else Resource(path)
with resource:
    for row in resource.row_stream:
        record = row.to_dict()
        if shown:
            print(json.dumps(record, default=str))
