"""How the families write their calls: one file for each format."""
