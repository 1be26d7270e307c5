"""What there is in streams, for a person: heads, profiles, a page."""
