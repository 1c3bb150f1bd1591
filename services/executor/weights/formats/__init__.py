"""Formats of checkpoints other than plain floats: one file for each."""
