"""The account of a request, its span; and what of it counts that is not told. Totals are tested through the routes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.otlp_collector import Collector, collecting
from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.fields.json_types import Json
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import ChoiceCursor, StreamCursor
from xylem.services.gateway.generation.text_rows import TextRow
from xylem.services.gateway.output_parsers import choose
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import FinishReason
from xylem.shared.runtime import telemetry

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


async def test_a_call_that_the_client_has_counts_for_the_reason(gateway: GatewayService) -> None:
    """All is generated anew for a stream that broke off after the call: it is not told again, but it was made."""
    call = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
    served = ServedModel("tiny", 64, 512, 8, family=choose(tool_call_parser="hermes"))
    tools: list[Json] = [{"type": "function", "function": {"name": "time"}}]
    request = chat_request(ChatBody.read({"messages": [{"role": "user", "content": "x"}], "tools": tools}), served)
    for told, deltas in ((len(call), []), (0, [CallBegun(0, "time"), CallArguments(0, "{}")])):
        place = ChoiceCursor(begun=True, num_chars=told)
        session = GenerationSession(gateway.context, request, StreamCursor("chatcmpl-0", 1, 1, [place]), "")
        session._output_queue.put_row(0, TextRow(0, 0, b"", call, FinishReason.STOP))
        [piece] = await session.take_deltas()
        assert [*piece.deltas, *piece.last_deltas] == deltas
        assert piece.called
