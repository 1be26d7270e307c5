"""The command line: a file per verb, and what verbs share."""
