import asyncio

import pytest

from tests.patience import PATIENCE_S
from xylem.cli.serve.ready import wait_until_ready

NOT_YET = 'HTTP/1.1 503 Service Unavailable\r\n\r\n{"missing": ["executor", "router"]}'
ODD = "HTTP/1.1 404 Not Found\r\n\r\nwhat?"
READY = 'HTTP/1.1 200 OK\r\n\r\n{"status": "ready"}'


@pytest.mark.parametrize(
    ("answers", "waited_for"),
    [([NOT_YET, NOT_YET, READY], ["waits for executor, router"]), ([ODD, READY], ["says 404"]), (["", READY], [])],
)
def test_it_returns_with_the_first_200_and_tells_what_is_missing(answers: list[str], waited_for: list[str]) -> None:
    async def story() -> list[str]:
        left = iter(answers)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(left).replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1).encode())
            await writer.drain()
            writer.close()

        said: list[str] = []
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await asyncio.wait_for(wait_until_ready(f"http://127.0.0.1:{port}", said.append), PATIENCE_S)
        return said

    assert asyncio.run(story()) == waited_for
