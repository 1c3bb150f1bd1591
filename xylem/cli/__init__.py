"""The `xylem` command line: serve, chat and check."""
