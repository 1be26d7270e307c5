"""Records of one stream as columns, as a frame, and as lines again.

`columns` decodes RECORD lines into Arrow columns without loss, `frames` shows them as a pandas frame,
`lines` writes a frame as RECORD lines, taking from the columns every value that did not change.
"""
