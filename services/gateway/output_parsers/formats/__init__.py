"""Each file reads one format in which families write their calls."""
