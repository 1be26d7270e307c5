"""A Singer tap for Data Packages and bare files: CSV, JSON Lines, JSON, Parquet and Excel."""
