"""A message stream written as a Data Package, or as plain files by the bundled targets."""
