"""A Singer tap without a source: GitHub-like streams, generated from a seed, offline and at any size."""
