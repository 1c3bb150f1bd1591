"""uvicorn inside the life cycle of a service: no signal handlers of its own, a socket bound before anything starts."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from xylem.services.gateway.http.connection import connection_type
from xylem.services.gateway.policy import HttpPolicy
from xylem.shared.runtime.service import StartupError


async def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises StartupError when the address is taken or not ours."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartupError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise StartupError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    return bound


class HttpServer(uvicorn.Server):
    """Serves an application on a bound socket until `shut`. Without tls it speaks plain HTTP."""

    def __init__(
        self,
        app: ASGIApp,
        bound: socket.socket,
        tls: ssl.SSLContext | None = None,
        *,
        policy: HttpPolicy,
        client_timeout_s: float,
    ) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            http=connection_type(policy, client_timeout_s),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=policy.backlog,
            timeout_keep_alive=policy.keep_alive_s,
            timeout_graceful_shutdown=max(1, int(policy.shutdown_s)),
        )
        config.load()
        config.ssl = tls  # uvicorn would read the files itself, on the event loop
        super().__init__(config)
        self._bound = bound
        self.url = _url(bound, "https" if tls else "http")
        self.listening = asyncio.Event()
        self.closed = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the service's

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def run_until_shut(self) -> None:
        """The server's course; belongs into a task of the service."""
        try:
            await self.serve([self._bound])
        finally:
            self._bound.close()
            self.closed.set()

    async def shut(self) -> None:
        """Accepts no more connections, lets responses end, and returns when all is closed."""
        self.should_exit = True
        await self.closed.wait()


def _url(bound: socket.socket, scheme: str) -> str:
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
