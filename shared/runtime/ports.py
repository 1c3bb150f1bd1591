"""Ports for servers that are started here."""

import random
import socket
from collections.abc import Iterable
from pathlib import Path

# Never one of those that the system gives to outgoing connections (Linux: 32768 to 60999 unless set otherwise): between
# the probe and the server's own bind, any connection on the machine could take it.
_OURS = range(20_000, 32_768)
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _candidates() -> list[int]:
    given_out: Iterable[int] = range(0)
    if _EPHEMERAL.exists():
        first, last = map(int, _EPHEMERAL.read_text().split())
        given_out = range(first, last + 1)
    ours = [port for port in _OURS if port not in given_out]
    return ours or list(_OURS)


CANDIDATES = _candidates()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of host that nobody listens on now and no outgoing connection will be given.

    Raises OSError when there is none.
    """
    for port in random.sample(CANDIDATES, len(CANDIDATES)):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port of {host} is free between {CANDIDATES[0]} and {CANDIDATES[-1]}")
