"""Processes: start, connect, watch and end them."""
