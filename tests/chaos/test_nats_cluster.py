"""Three NATS servers; one after the other dies, and comes back."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.crowd import Crowd, undisturbed
from tests.conftest import NatsServer
from tests.serving import serving
from xylem.shared.runtime.ports import free_port


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[NatsServer]]:
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f"nats-route://127.0.0.1:{port}" for port in ports)
    servers = []
    for i, port in enumerate(ports):
        folder = tmp_path / f"nats-{i}"
        folder.mkdir()
        part = f"cluster {{ name: three, listen: 127.0.0.1:{port}, routes: [{routes}] }}\n"
        servers.append(NatsServer(folder, f"server_name: n{i}\n{part}"))
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


async def test_streams_outlive_any_one_server(cluster: list[NatsServer], tmp_path: Path) -> None:
    urls = ",".join(server.url for server in cluster)
    with serving(tmp_path, "--nats-url", urls, "--replicas", "detokenizer=2,executor=2", "--threads", "1") as served:
        expected = await undisturbed([served.url])
        async with Crowd([served.url], expected, size=16) as crowd:
            for server in cluster:
                await crowd.reading()
                await asyncio.to_thread(server.kill)
                await crowd.ended(8)
                await asyncio.to_thread(server.start)
            await crowd.leave()
        assert not crowd.failures, "\n".join(crowd.failures) + "".join(served.output[-60:])
