"""`xylem serve` with the scripted executor in the place of the real one: all else is as users run it."""

import sys
from dataclasses import replace
from typing import Any

from xylem.cli.app import app
from xylem.cli.serve import command
from xylem.cli.serve.fleet import Fleet, assemble


def scripted(*arguments: Any, **options: Any) -> Fleet:
    """Builds the fleet that `assemble` does, with another program for its executors."""
    fleet = assemble(*arguments, **options)
    program = [sys.executable, "-P", "-m", "tests.clients.agents.scripted_executor"]
    members = [replace(each, command=program) if each.kind == "executor" else each for each in fleet.members]
    return replace(fleet, members=tuple(members))


if __name__ == "__main__":
    command.assemble = scripted  # type: ignore[attr-defined]
    app()
