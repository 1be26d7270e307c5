"""Read the package back: the values are in the Parquet file, what they mean is in datapackage.json."""

import json
from pathlib import Path

import pandas as pd

package = json.loads(Path("package/datapackage.json").read_text())
(resource,) = package["resources"]
# Without dtype_backend, pandas makes floats of integers as soon as one is null, and 19 digits become 16.
df = pd.read_parquet(Path("package") / resource["path"], dtype_backend="pyarrow")

print(f"{resource['name']}: {len(df)} rows, key {resource['schema']['primaryKey']}")
print(df[["fingerprint", "reward", "created_at"]].dtypes.to_string())
print(df.loc[1, ["id", "fingerprint", "reward", "created_at"]].to_string())
