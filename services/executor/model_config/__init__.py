"""Turns config.json into the numbers of a decoder: one row for each architecture."""
