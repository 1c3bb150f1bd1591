"""Sizes of bodies, declared or not."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

from tests.patience import PATIENCE_S


async def chunks(number: int) -> AsyncIterator[bytes]:
    yield b'{"prompt": "'
    for _ in range(number):
        yield b"x" * 1000


async def test_body_limits(serving: Any) -> None:
    async with (
        serving(max_body_bytes=5000) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        declared = await http.post("/v1/completions", content=b"x" * 6000)
        chunked = await http.post("/v1/completions", content=chunks(9))
        elsewhere = await http.post("/tokenize", content=chunks(9))
        assert [r.status_code for r in (declared, chunked, elsewhere)] == [413] * 3
        assert declared.json()["error"]["message"] == "the body has 6000 bytes; 5000 are allowed"
        assert chunked.json()["error"]["code"] == "payload_too_large"
        assert "5000" in chunked.json()["error"]["message"]
        assert (await http.post("/v1/completions", json={"prompt": "x" * 4000})).status_code == 200
        metrics = (await http.get("/metrics")).text
        assert 'xylem_requests_total{route="/v1/completions",status="413"} 1.0' in metrics
        assert 'xylem_requests_total{route="unknown",status="413"} 1.0' in metrics
