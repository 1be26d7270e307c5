"""The functions of a user's file over a message stream."""
