"""The Singer protocol: messages, their marks, SCHEMAs and types, catalogs, BATCH files."""
