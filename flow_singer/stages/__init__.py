"""Whole commands between two pipes, and the supervisor that joins them."""
