"""What records must be: expectations of a person and of the SCHEMA, looked at column by column."""
