"""Refuses requests for a host that is not ours: a page whose name was made to point here (DNS rebinding) sends that.

A browser lets a page read whatever comes from the page's host. An address points nowhere else, so it is let in, as are
names that no stranger can own: those without a dot, and those below the domains of private networks.
"""

import ipaddress
import socket
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from xylem.services.gateway.http.errors import problem_response
from xylem.shared.runtime.errors import Forbidden

PRIVATE_DOMAINS = (".localhost", ".local", ".internal", ".home.arpa", ".test")


class AllowedHosts:
    """hosts: further names, `*.example` with all below it."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {own, *(host for host in hosts if not host.startswith(("*.", ".")))}
        self._domains = (*PRIVATE_DOMAINS, *(host.lstrip("*") for host in hosts if host.startswith(("*.", "."))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = _name(Headers(scope=scope).get("host", ""))
        if self._allows(host):
            await self._app(scope, receive, send)
            return
        refused = Forbidden(
            f"{host[:100]} is no name of this server; --allowed-hosts {host[:100]} makes it one,"
            " and --allowed-hosts '*' lets in requests for any"
        )
        await problem_response(refused, scope["path"])(scope, receive, send)

    def _allows(self, host: str) -> bool:
        """An empty host is that of HTTP/1.0 without one, which no browser speaks."""
        if "." not in host and ":" not in host:
            return True
        return host in self._names or host.endswith(self._domains) or _is_address(host)


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether a server that listens on this address hears its own machine only."""
    return address == "localhost" or (_is_address(address) and ipaddress.ip_address(address).is_loopback)
