"""The account of a request: its span. Token totals are tested through the routes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared import telemetry
from tests.otlp_collector import Collector, collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        telemetry.start("gateway", "gw", opened.endpoint)
        yield opened
        telemetry.stop()


async def test_the_root_span(collector: Collector, http: httpx.AsyncClient, pipeline: Any) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    await http.post("/v1/completions", json={"prompt": "x", "max_tokens": 3}, headers=headers)
    assert await asyncio.to_thread(collector.wait_for, {"request"}, timeout_s=10)
    (span,) = collector.spans
    assert (span.trace_id, span.parent_id) == (TRACE, PARENT)
    assert pipeline.generates[0].trace == f"00-{TRACE}-{span.span_id}-01"
    attributes = span.attributes
    assert 0 < attributes.pop("ttft_s") < 10
    assert attributes == {
        "model": "tiny",
        "choices": 1,
        "prompt_tokens": 7,
        "cached_tokens": 4,
        "completion_tokens": 3,
        "finish_reason": "length",
        "attempts": 1,
    }


async def test_nothing_when_tracing_is_off(http: httpx.AsyncClient, pipeline: Any) -> None:
    await http.post("/v1/completions", json={"prompt": "x"})
    assert pipeline.generates[0].trace == ""
