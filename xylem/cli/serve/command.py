"""`xylem serve` from arguments to exit code."""

import asyncio
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from xylem.cli.serve import nats_server
from xylem.cli.serve.child import Member
from xylem.cli.serve.fleet import Fleet, FleetError, assemble, parse_replicas
from xylem.cli.serve.keeper import StartupFailure
from xylem.cli.serve.nats_server import NatsServerError, OwnServer
from xylem.cli.serve.preflight import check_before_start
from xylem.cli.serve.screen import Screen, screen_for
from xylem.cli.serve.site import Site
from xylem.cli.serve.state_file import StateFile
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.runtime.permissions import ADMIN
from xylem.shared.runtime.ports import free_port
from xylem.shared.runtime.settings import SettingsError, read_url
from xylem.shared.runtime.supervisor_bye import say_bye_for

STARTUP_FAILED = 1
BAD_ARGUMENTS = 2


def serve(
    settings: Mapping[str, Any],
    *,
    replicas: str,
    groups: int,
    nats_url: str | None,
    state_file: Path | None,
    store_folder: Path | None,
) -> int:
    """Serves until a signal; returns the exit code."""
    with _store(store_folder) as store:
        return _serve_with(store, settings, replicas, groups, nats_url, state_file)


@contextmanager
def _store(folder: Path | None) -> Iterator[Path]:
    """Yields the folder in which our own NATS server keeps what it stores: that one, or one for as long as it runs."""
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="xylem-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def _serve_with(
    store: Path,
    settings: Mapping[str, Any],
    replicas: str,
    groups: int,
    nats_url: str | None,
    state_file: Path | None,
) -> int:
    given = {name: _written(value) for name, value in settings.items() if value not in (None, [])}
    nats: OwnServer | None = None
    try:
        counts = parse_replicas(replicas)
        if url_file := given.get("nats_url_file", os.environ.get("XYLEM_NATS_URL_FILE", "")):
            nats_url = read_url(url_file)
        given["nats_url_file"] = ""  # the children are told the URL itself
        if not nats_url:
            binary = nats_server.find()
            nats_server.version(binary)
            nats = OwnServer(binary, free_port(), store)
            given["nats_ca_file"] = ""  # one in the environment is for another server
        elif not given.get("id") and not os.environ.get("XYLEM_ID"):
            given["id"] = socket.gethostname()  # other machines on that bus have a gateway-0, too
        admin_url = nats.url(ADMIN) if nats else nats_url or ""
        fleet = assemble(given, counts, nats.url if nats else lambda _: admin_url, os.environ, groups=groups)
        check_before_start(fleet.executor, num_executors=fleet.num_executors)
    except (SettingsError, FleetError, NatsServerError) as error:
        typer.echo(f"xylem serve: {error}", err=True)
        return BAD_ARGUMENTS
    except ModelError as error:
        typer.echo(f"xylem serve: {error}", err=True)
        return STARTUP_FAILED
    members = [*([nats.member] if nats else []), *fleet.members]
    screen = screen_for([member.name for member in members])
    state = StateFile(state_file, url=fleet.url, nats_url=admin_url, model=fleet.model_name)
    try:
        asyncio.run(_serve(fleet, nats, admin_url, screen, state))
    except (StartupFailure, NatsServerError) as error:
        typer.echo(f"xylem serve: {error}", err=True)
        return STARTUP_FAILED
    return 0


def _written(value: Any) -> str:
    """A setting as its variable has it."""
    return ",".join(value) if isinstance(value, list) else str(value)


async def _serve(fleet: Fleet, nats: OwnServer | None, nats_url: str, screen: Screen, state: StateFile) -> None:
    async def mourn(member: Member, crashed: bool) -> None:
        instance = member.environment["XYLEM_ID"]
        await say_bye_for(nats_url, member.kind, instance, fleet.model_slug, fleet.nats_ca_file, crashed=crashed)

    site = Site(fleet, nats, screen, state, mourn, is_quiet=fleet.is_quiet)
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            site.kill()
        else:
            screen.settle()
            screen.say(f"stopping: requests have {fleet.drain_s:g} s to finish; Ctrl-C again ends them now")
            stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    await site.run(stop)
