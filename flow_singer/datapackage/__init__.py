"""A message stream written as a Data Package, or as plain files by the bundled targets.

`load` turns messages into batches and hands them to a writer; `writer` publishes the package; `table` keeps
the books of one stream (columns, keys, versions); `csvfile`, `jsonl` and `parquet` know one format each;
`descriptor` and `names` say what stands in `datapackage.json`.
"""
