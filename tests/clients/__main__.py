"""What real clients do, against a running server: `python -m tests.clients [--url URL] [--only NAME]`.

Installs each client into an environment of its own, runs its checks there, and prints a table. Starts `xylem serve`
with the demonstration model and a key when no URL is given. Ends with 1 if a check failed. See README.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.clients.environments import CACHE, NotInstalled, command
from tests.clients.outcomes import Failure, Result, run_checks
from tests.clients.serving import keyed_server
from tests.clients.table import CLIENTS, Client


def result_of(client: Client, url: str, api_key: str, *, fresh: bool) -> Result:
    """Installs it if need be, and runs its checks."""
    try:
        return run_checks(client.name, command(client, fresh=fresh), url, api_key)
    except NotInstalled as error:
        return Result(client.name, failures=[Failure("(installation)", str(error))])


def table_of(results: list[Result]) -> Table:
    """A row for each client, with the reasons of what failed."""
    table = Table("client", "version", "passed", "failed", "skipped", box=None)
    table.add_column("reason", overflow="fold")
    for result in results:
        reasons = [f"{failure.check}: {failure.reason} {failure.where}".strip() for failure in result.failures]
        if not result.is_good and not reasons:
            reasons = ["no check was run"]
        table.add_row(
            result.client,
            result.version,
            str(result.num_passed),
            str(len(result.failures)),
            str(len(result.skipped)),
            escape("\n".join(reasons)),
            style="" if result.is_good else "red",
        )
    return table


@contextmanager
def server(url: str, api_key: str) -> Iterator[tuple[str, str]]:
    """URL and key: those that were given, or those of a server of our own."""
    if url:
        yield url.rstrip("/").removesuffix("/v1"), api_key
        return
    with tempfile.TemporaryDirectory() as folder, keyed_server(Path(folder)) as keyed:
        yield keyed


def main() -> int:
    names = [client.name for client in CLIENTS]
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="", help="a server with the demonstration model that nobody else uses")
    parser.add_argument("--api-key", default="", help="its key, if it asks for one")
    parser.add_argument("--only", action="append", choices=names, help="this client; may be given several times")
    parser.add_argument("--fresh", action="store_true", help=f"install the newest versions; they are kept in {CACHE}")
    options = parser.parse_args()
    console = Console()
    results = []
    with server(options.url, options.api_key) as (url, api_key):
        for client in CLIENTS:
            if not options.only or client.name in options.only:
                console.print(f"{client.name} ...", highlight=False)
                results.append(result_of(client, url, api_key, fresh=options.fresh))
    console.print(table_of(results))
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
