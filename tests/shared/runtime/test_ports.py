import socket
from pathlib import Path

import pytest

from xylem.shared.runtime import ports
from xylem.shared.runtime.ports import free_port


def test_a_port_is_free_and_never_one_given_to_outgoing_connections() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    for _ in range(50):
        port = free_port()
        assert not first <= port <= last
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


def test_a_taken_port_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "CANDIDATES", [port])
        with pytest.raises(OSError, match=f"between {port} and {port}"):
            free_port()
