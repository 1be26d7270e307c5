"""Data Packages and bare files as streams of typed batches."""
