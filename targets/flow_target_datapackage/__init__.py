"""target-datapackage: Singer streams to a Data Package."""
