"""`python -m xylem` is `xylem`."""

from xylem.cli.app import app

app(prog_name="xylem")
