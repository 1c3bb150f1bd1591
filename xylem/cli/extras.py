"""Commands that need more than the packages of a client."""

from typing import Annotated

import typer

INSTALL = "pip install 'xylem-serve[serve]'"


def add_serve(app: typer.Typer) -> None:
    """Adds `xylem serve`. Without its packages it only says which one is missing, and exits with 1."""
    try:
        from xylem.cli.serve.options import serve
        from xylem.cli.serve.serve_command import ServeCommand
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("xylem"):
            raise
        _add_missing(app, error.name)
    else:
        app.command(cls=ServeCommand)(serve)


def _add_missing(app: typer.Typer, package: str) -> None:
    def serve(arguments: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        """Start all services on this machine. Not installed: see what it says."""
        typer.echo(f"the package {package} is missing: {INSTALL} brings all that serving needs", err=True)
        raise typer.Exit(1)

    app.command(context_settings={"ignore_unknown_options": True})(serve)
