"""The commands. Each one imports what it needs when it runs, so that `xylem --help` stays quick."""

from pathlib import Path
from typing import Annotated

import typer

from xylem.cli.extras import add_serve

app = typer.Typer(
    name="xylem",
    help="Serves large language models as a pipeline of small services over NATS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
add_serve(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Serves large language models as a pipeline of small services over NATS."""


@app.command()
def chat(
    *,
    url: Annotated[str, typer.Option(envvar="XYLEM_URL", help="Where the gateway is.")] = "http://127.0.0.1:8000",
    model: Annotated[str, typer.Option(help="Name of the model. Default: the first one served there.")] = "",
    system: Annotated[str, typer.Option(help="System message that opens the conversation.")] = "",
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0 always takes the likeliest token.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Share of probability to draw from.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answers.")] = None,
    api_key: Annotated[str, typer.Option(envvar="XYLEM_API_KEY", help="Sent as bearer token.")] = "",
    ca_file: Annotated[
        Path | None, typer.Option(envvar="XYLEM_CA_FILE", help="Trust this certificate or authority (PEM) with https.")
    ] = None,
) -> None:
    """Talk to a served model. /reset forgets the conversation, /quit ends; Ctrl-C stops an answer.

    With a pipe as input every line is a question, and only the answers are printed.
    """
    from xylem.cli.chat.terminal import converse
    from xylem.client.chat import ChatClient, ChatError

    parameters = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed}
    try:
        opened = ChatClient(url, model=model, api_key=api_key, ca_file=ca_file, parameters=parameters)
    except ChatError as error:
        raise typer.BadParameter(str(error), param_hint="--ca-file") from None
    with opened as client:
        raise typer.Exit(converse(client, system=system))


@app.command()
def check(
    *,
    port: Annotated[int, typer.Option(envvar="XYLEM_PORT", min=1, max=65535, help="Port that serve will use.")] = 8000,
) -> None:
    """Check that this machine has what `xylem serve` needs."""
    from xylem.cli.check.report import report

    raise typer.Exit(report(port=port))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    try:
        typer.echo(f"xylem {installed_version('xylem-serve')}")
    except PackageNotFoundError:
        typer.echo("xylem, from a checkout that is not installed")
