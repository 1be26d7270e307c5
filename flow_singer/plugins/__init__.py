"""A tap or target as a program: found, installed, asked, configured."""
