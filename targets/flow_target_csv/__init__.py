"""target-csv: Singer streams to CSV files."""
