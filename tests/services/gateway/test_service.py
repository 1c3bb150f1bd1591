"""Start and end of the gateway."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.service import GatewayService
from xylem.shared.runtime.service import StartupError, running
from xylem.shared.runtime.settings import GatewaySettings


async def start(settings: GatewaySettings) -> None:
    async with running(GatewayService(settings)):
        pass


def leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return leaf(inner) if isinstance(inner, BaseExceptionGroup) else inner


@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
async def test_port_in_use(gateway_settings: Any, family: str) -> None:
    kind = socket.AF_INET6 if ":" in family else socket.AF_INET
    with socket.create_server((family, 0), family=kind) as taken, pytest.raises(BaseExceptionGroup) as caught:
        await start(gateway_settings(host=family, port=taken.getsockname()[1]))
    error = leaf(caught.value)
    assert isinstance(error, StartupError)
    assert "can't listen on" in str(error)


@pytest.mark.parametrize("change", [{"host": "256.1.1.1"}, {"model": "/nowhere/model"}])
async def test_other_faults(gateway_settings: Any, change: dict[str, str]) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await start(gateway_settings(**change))
    assert isinstance(leaf(caught.value), StartupError)


async def test_ipv6(serving: Any) -> None:
    async with (
        serving(host="::1") as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        assert "[::1]" in service.server.url
        assert (await http.get("/health")).json() == {"status": "alive"}


async def test_drain_lets_streams_finish_and_takes_nothing_new(serving: Any, pipeline: Any) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.words(g, 0, 1)
        begun.set()
        await go_on.wait()
        await pipeline.words(g, 1, 3, 1)

    pipeline.play = play
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        async with serving() as service:
            url = service.server.url
            running_request = asyncio.create_task(http.post(f"{url}/v1/completions", json={"prompt": "x"}))
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            draining = asyncio.create_task(service.drain())
            await asyncio.sleep(0)  # one turn of the loop: the drain has begun
            assert not service.context.accepting
            late = await http.post(f"{url}/v1/completions", json={"prompt": "x"})
            assert late.status_code == 503
            assert (await http.get(f"{url}/ready")).status_code == 503
            assert (await http.get(f"{url}/health")).status_code == 200
            go_on.set()
            await draining
        assert (await running_request).json()["choices"][0]["text"] == "w0 w1 w2 "
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{url}/health")


async def test_what_does_not_finish_in_time_gets_an_error(serving: Any, pipeline: Any) -> None:
    begun = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.words(g, 0, 1)
        begun.set()

    pipeline.play = play
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        async with serving(drain_s=0.1) as service:
            body = {"prompt": "x", "stream": True}
            request = asyncio.create_task(http.post(f"{service.server.url}/v1/completions", json=body))
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
        text = (await request).text
    assert "the gateway is stopping" in text
    assert text.endswith("data: [DONE]\n\n")
