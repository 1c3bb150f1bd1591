"""/v1/messages through Anthropic's own client: whole answers, streams, errors and counts."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types import MessageParam, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.patience import PATIENCE_S
from xylem.services.gateway.apis.anthropic_messages.response import MessageResponseWriter
from xylem.services.gateway.generation.choice_output import ChoiceOutput
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.session import Totals
from xylem.services.gateway.http.response_writer import Head, Usage
from xylem.services.gateway.http.server_sent_event import named_event
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, Delta, Reasoning
from xylem.shared.protocol import FinishReason

PATH = "/v1/messages"
HI: list[MessageParam] = [{"role": "user", "content": "Hi"}]
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
USAGE = Usage.of(Totals(prompt=7, completion=5, cached=4))
DELTAS: list[Delta] = [
    Reasoning("let me "),
    Reasoning("see"),
    Content("Sunny"),
    CallBegun(0, "look"),
    CallArguments(0, '{"at":'),
    CallArguments(0, '"x"}'),
    CallBegun(1, "wait"),
    CallArguments(1, "{}"),
]


@pytest.fixture
async def client(gateway: Any) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=gateway.server.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.mark.usefixtures("stopping")
async def test_whole(client: anthropic.AsyncAnthropic, pipeline: Any) -> None:
    message = await client.messages.create(
        model="tiny",
        max_tokens=9,
        messages=HI,
        system="Be brief.",
        stop_sequences=["x"],
        extra_body={"temperature": 0.5, "top_k": 3},  # newer clients have no arguments for them
    )
    assert message.id.startswith("msg_")
    assert [block.text for block in message.content] == ["w0 w1 w2 "]  # type: ignore[union-attr]
    assert (message.role, message.model, message.type) == ("assistant", "tiny", "message")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (3, 4, 3)
    (generate,) = pipeline.generates
    assert json.loads(generate.messages) == [{"role": "system", "content": "Be brief."}, *HI]
    assert (generate.params.sampling.temperature, generate.params.sampling.top_k) == (0.5, 3)
    assert (generate.params.stop_conditions.stop, generate.params.stop_conditions.max_tokens) == (("x",), 9)


async def test_cut_at_max_tokens(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(model="tiny", max_tokens=2, messages=HI)
    assert (message.stop_reason, message.content[0].text) == ("max_tokens", "w0 w1 ")  # type: ignore[union-attr]


@pytest.mark.usefixtures("stopping")
async def test_stream(client: anthropic.AsyncAnthropic, http: httpx.AsyncClient) -> None:
    async with client.messages.stream(model="tiny", max_tokens=9, messages=HI) as stream:
        final = await stream.get_final_message()
    assert [block.text for block in final.content] == ["w0 w1 w2 "]  # type: ignore[union-attr]
    assert (final.stop_reason, final.usage.input_tokens, final.usage.output_tokens) == ("end_turn", 3, 3)
    raw = (await http.post(PATH, json={"max_tokens": 9, "messages": HI, "stream": True})).text
    names = [line[7:] for line in raw.splitlines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(names[3:-3]) == {"content_block_delta"}
    assert "[DONE]" not in raw


async def test_leaving_a_stream_aborts_it(client: anthropic.AsyncAnthropic, gateway: Any, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 1)

    pipeline.play = play
    async with await client.messages.create(model="tiny", max_tokens=9, messages=HI, stream=True) as stream:
        await anext(aiter(stream))
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id
    await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)


async def test_count_tokens(client: anthropic.AsyncAnthropic) -> None:
    """The stand-in tokenizer has a token for each character of the chat messages."""
    counted = await client.messages.count_tokens(model="tiny", messages=HI, system="Be brief.")
    messages = [{"role": "system", "content": "Be brief."}, *HI]
    assert counted.input_tokens == len(json.dumps(messages, separators=(",", ":")))
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        await client.messages.count_tokens(model="tiny", messages="Hi")  # type: ignore[arg-type]


async def test_a_refusal_is_a_status(client: anthropic.AsyncAnthropic, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.refuse(g, "queue_full", "too much is waiting", retry_after_s=2.5)

    pipeline.play = play
    for stream in (False, True):
        with pytest.raises(anthropic.RateLimitError, match="too much is waiting") as caught:
            await client.messages.create(model="tiny", max_tokens=9, messages=HI, stream=stream)
        assert caught.value.response.headers["retry-after"] == "3"


async def test_failing_in_the_middle(client: anthropic.AsyncAnthropic, pipeline: Any) -> None:
    went_on = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 1)
        await went_on.wait()
        await pipeline.refuse(g, "deadline_exceeded", "too late")

    pipeline.play = play
    with pytest.raises(anthropic.APIStatusError, match="too late") as caught:
        async for _ in await client.messages.create(model="tiny", max_tokens=9, messages=HI, stream=True):
            went_on.set()
    assert caught.value.body == {"type": "error", "error": {"type": "timeout_error", "message": "too late"}}


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"system": 5}, "system"),
        ({"temperature": 3}, "temperature"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"mcp_servers": [{"name": "a"}]}, "mcp_servers"),
        ({"n": 2}, "n"),
    ],
)
async def test_bad_fields_are_named(http: httpx.AsyncClient, bad: dict[str, Any], named: str) -> None:
    response = await http.post(PATH, json={"max_tokens": 2000, "messages": HI, **bad})
    assert response.status_code == 400
    assert response.json() == {"type": "error", "error": response.json()["error"]}
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert named in error["message"]


async def test_errors_from_anywhere_have_the_same_shape(serving: Any, tmp_path: Any) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "alice-0123456789ab"\n')
    settings = {"api_keys_file": str(keys), "max_body_bytes": 1000}
    async with (
        serving(**settings) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        http.headers["anthropic-version"] = "2023-06-01"
        body = {"max_tokens": 2, "messages": HI}
        unknown = await http.post(PATH, json=body, headers={"x-api-key": "wrong"})
        http.headers["x-api-key"] = "alice-0123456789ab"
        assert (await http.post(PATH, json=body)).status_code == 200
        for response, status, kind in (
            (unknown, 401, "authentication_error"),
            (await http.get(PATH), 405, "invalid_request_error"),
            (await http.post(f"{PATH}/batches", json={}), 404, "not_found_error"),
            (await http.post(PATH, json={**body, "model": "other"}), 404, "not_found_error"),
            (await http.post(PATH, json={**body, "system": "x" * 1000}), 413, "request_too_large"),
            (await http.post(PATH, content=b"{"), 400, "invalid_request_error"),
        ):
            assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
            assert set(response.json()["error"]) == {"type", "message"}
        elsewhere = await http.post("/v1/messages-elsewhere")
        assert set(elsewhere.json()["error"]) == {"message", "type", "param", "code"}


def form(*stops: str) -> MessageResponseWriter:
    return MessageResponseWriter(Head("msg-0123456789abcdef0123456789abcdef", 1, "tiny"), stops)


def whole(
    deltas: list[Delta], finish: FinishReason = FinishReason.STOP, matched: str | None = None, *stops: str
) -> Any:
    result = ChoiceOutput()
    result.add_output(OutputDelta(0, deltas=deltas, finish=finish, matched=matched))
    answer = form(*stops).build_response([result], USAGE)
    return anthropic.types.Message.model_validate_json(_encoded(answer))


def streamed(pieces: list[OutputDelta]) -> list[Any]:
    """The events as Anthropic's types, after their names have been compared."""
    own = form()
    events = [event for piece in pieces for event in own.build_chunks(piece, USAGE)] + own.build_closing(USAGE)
    told = []
    for event in events:
        name, data = named_event(event).decode().rstrip().split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        if value["type"] != "ping":  # which the client drops
            told.append(EVENT.validate_python(value, strict=True))
    return told


def _encoded(answer: Any) -> bytes:
    return named_event(answer).split(b"data: ")[1]


def test_thoughts_text_and_calls() -> None:
    message = whole(DELTAS)
    thought, text, first, second = message.content
    assert (thought.type, thought.thinking, text.text) == ("thinking", "let me see", "Sunny")
    assert (first.type, first.name, first.input) == ("tool_use", "look", {"at": "x"})
    assert (second.name, second.input) == ("wait", {})
    assert first.id.startswith("toolu_")
    assert first.id != second.id
    assert (message.stop_reason, message.usage.input_tokens) == ("tool_use", 3)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_stream_adds_up_to_the_whole(size: int) -> None:
    pieces = [OutputDelta(0, deltas=DELTAS[i : i + size]) for i in range(0, len(DELTAS), size)]
    events = streamed([*pieces, OutputDelta(0, finish=FinishReason.STOP)])
    blocks: list[dict[str, Any]] = []
    open_index = None
    for event in events[1:-2]:
        match event.type:
            case "content_block_start":
                assert (open_index, event.index) == (None, len(blocks))
                open_index = event.index
                blocks.append({**event.content_block.model_dump(exclude_none=True), "said": ""})
            case "content_block_delta":
                assert event.index == open_index
                delta = event.delta.model_dump()
                kind = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
                blocks[-1]["said"] += delta[kind[delta["type"]]]
            case "content_block_stop":
                assert event.index == open_index
                open_index = None
    assert open_index is None
    assert [(block["type"], block["said"]) for block in blocks] == [
        ("thinking", "let me see"),
        ("text", "Sunny"),
        ("tool_use", '{"at":"x"}'),
        ("tool_use", "{}"),
    ]
    assert [block["id"] for block in blocks[2:]] == [block.id for block in whole(DELTAS).content[2:]]
    assert (events[0].type, events[-2].delta.stop_reason, events[-1].type) == (
        "message_start",
        "tool_use",
        "message_stop",
    )


def test_why_it_stopped() -> None:
    said: list[Delta] = [Content("x")]
    assert whole(said, FinishReason.STOP, "END", "END").stop_reason == "stop_sequence"
    assert whole(said, FinishReason.STOP, "END", "END").stop_sequence == "END"
    assert whole(said, FinishReason.STOP, "END").stop_reason == "end_turn"  # not one of the client's
    assert whole(said, FinishReason.LENGTH).stop_reason == "max_tokens"
    cut = whole([CallBegun(0, "f"), CallArguments(0, '{"a')], FinishReason.LENGTH)
    assert (cut.stop_reason, cut.content[0].input) == ("max_tokens", {})


def test_an_answer_of_nothing_is_an_empty_text() -> None:
    assert [block.text for block in whole([]).content] == [""]
    kinds = [event.type for event in streamed([OutputDelta(0, finish=FinishReason.STOP)])]
    assert kinds == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]


async def test_a_thread_is_refused_so_that_the_package_goes_on_without(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.messages.create(model="tiny", max_tokens=9, messages=HI, extra_body={"thread": {"type": "create"}})
    body: Any = caught.value.body
    assert body["error"]["details"] == {"error_code": "thread_unsupported_request"}
    assert "thread" in body["error"]["message"]
