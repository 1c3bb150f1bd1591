"""What a config.json says of a decoder, as numbers: one row for each architecture."""
