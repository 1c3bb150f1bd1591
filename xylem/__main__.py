"""`python -m xylem` is `xylem`."""

from xylem.cli import app

app(prog_name="xylem")
