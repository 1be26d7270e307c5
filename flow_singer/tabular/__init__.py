"""Records of one stream as columns, as a frame, and as lines again."""
