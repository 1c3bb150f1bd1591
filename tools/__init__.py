"""Programs for those who work on Xylem: they write files of the repository and are not installed."""
