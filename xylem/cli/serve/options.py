"""The options of `xylem serve`: its own, and every setting of the services."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xylem.cli.serve.flags import with_settings


@with_settings
def serve(
    *,
    model_argument: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="The model, as with --model.", show_default=False)
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file with flags as keys, such as max-running = 32. Flags and the environment win."),
    ] = None,
    replicas: Annotated[
        str, typer.Option(metavar="NAME=N,...", help="More than one of some services, such as tokenizer=2,executor=2.")
    ] = "",
    groups: Annotated[
        int, typer.Option(min=1, help="Split executors and schedulers; more schedulers than groups stand by.")
    ] = 1,
    nats_url: Annotated[
        str | None, typer.Option(envvar="XYLEM_NATS_URL", help="Use this NATS server. Default: start one.")
    ] = None,
    state_file: Annotated[
        Path | None, typer.Option(help="Keep a JSON file with the URL and the process ids here while serving.")
    ] = None,
    store_folder: Annotated[
        Path | None, typer.Option(help="Where its own NATS server keeps responses. Default: gone when it ends.")
    ] = None,
    **settings: Any,
) -> None:
    """Start all services on this machine and serve a model, until Ctrl-C.

    Every flag can also be given as environment variable: --kv-bytes as XYLEM_KV_BYTES, and so on.
    """
    from xylem.cli.serve.command import serve as run

    if model_argument:
        if settings.get("model") not in (None, model_argument):
            raise typer.BadParameter(f"the model is given twice: {model_argument} and --model {settings['model']}")
        settings["model"] = model_argument
    raise typer.Exit(
        run(
            settings,
            replicas=replicas,
            groups=groups,
            nats_url=nats_url,
            state_file=state_file,
            store_folder=store_folder,
        )
    )
