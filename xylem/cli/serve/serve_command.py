"""The command `xylem serve`, which understands command lines of other systems as well."""

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from xylem.cli.serve.config_file import arguments_of
from xylem.cli.serve.flags import setting_fields
from xylem.cli.serve.foreign.translate import FlagRefused, translate

BAD_ARGUMENTS = 2
SWITCHES = {name.replace("_", "-") for _, name, field in setting_fields() if field.annotation is bool}


class ServeCommand(TyperCommand):
    """Maps foreign flags before it parses, and says on standard error what became of each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = {name.removeprefix("--") for parameter in self.params for name in parameter.opts if name[:2] == "--"}
        try:
            found = translate(args, own, SWITCHES)
            if "--config" in found.arguments[:-1]:
                path = Path(found.arguments[found.arguments.index("--config") + 1])
                found.arguments = arguments_of(path, own, SWITCHES) + found.arguments
        except FlagRefused as refused:
            typer.echo(f"xylem serve: {refused}", err=True)
            raise typer.Exit(BAD_ARGUMENTS) from None
        for note in found.notes:
            typer.echo(f"xylem serve: {note}", err=True)
        return super().parse_args(ctx, found.arguments)
