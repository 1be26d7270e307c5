"""New projects, and the files they begin with."""
