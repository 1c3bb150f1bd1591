"""/v1/responses through OpenAI's own client: whole answers, streams, and what is kept of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from tests.patience import PATIENCE_S
from xylem.shared.protocol import FinishReason

PATH = "/v1/responses"


@pytest.fixture
async def client(gateway: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def gate(pipeline: Any) -> asyncio.Event:
    """The pipeline says two words, and the other three when this is set."""
    opened = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        await opened.wait()
        await pipeline.words(g, 2, 5, FinishReason.STOP)

    pipeline.play = play
    return opened


def sent(pipeline: Any, number: int = -1) -> Any:
    """The chat messages that the pipeline was given."""
    return json.loads(pipeline.generates[number].messages)


@pytest.mark.usefixtures("stopping")
async def test_whole(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    response = await client.responses.create(
        model="tiny", input="Hi", instructions="Be brief.", metadata={"a": "b"}, temperature=0.5, extra_body={"seed": 7}
    )
    assert (response.status, response.output_text, response.model) == ("completed", "w0 w1 w2 ", "tiny")
    assert response.id.startswith("resp_")
    assert (response.metadata, response.temperature, response.instructions) == ({"a": "b"}, 0.5, "Be brief.")
    usage = response.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 3, 10)
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (4, 0)
    assert sent(pipeline) == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert pipeline.generates[0].params.sampling.seed == 7
    assert (await client.responses.retrieve(response.id)).output == response.output


@pytest.mark.usefixtures("stopping")
async def test_a_reference_stands_for_what_was_said(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    said = (await client.responses.create(model="tiny", input="Hi")).output[0]
    reference: Any = {"type": "item_reference", "id": said.id}
    await client.responses.create(model="tiny", input=[reference, {"role": "user", "content": "And?"}])
    assert sent(pipeline) == [{"role": "assistant", "content": "w0 w1 w2 "}, {"role": "user", "content": "And?"}]
    for unknown in ("msg_1", f"msg_{'0' * 36}"):
        with pytest.raises(openai.BadRequestError, match="there is no item") as caught:
            await client.responses.create(model="tiny", input=[{"type": "item_reference", "id": unknown}])
        assert caught.value.param == "input[0].id"


async def test_cut_at_max_output_tokens(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(model="tiny", input="Hi", max_output_tokens=2)
    assert (response.status, response.output_text) == ("incomplete", "w0 w1 ")
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"  # type: ignore[union-attr]


@pytest.mark.usefixtures("stopping")
async def test_stream(client: openai.AsyncOpenAI) -> None:
    events = [event async for event in await client.responses.create(model="tiny", input="Hi", stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert "".join(event.delta for event in events[4:-4]) == "w0 w1 w2 "  # type: ignore[union-attr, misc]
    async with client.responses.stream(model="tiny", input="Hi") as stream:
        final = await stream.get_final_response()
    assert final.output_text == "w0 w1 w2 "


async def test_stream_that_is_cut(client: openai.AsyncOpenAI) -> None:
    stream = await client.responses.create(model="tiny", input="Hi", stream=True, max_output_tokens=2)
    last = [event async for event in stream][-1]
    assert last.type == "response.incomplete"
    assert last.response.output_text == "w0 w1 "


@pytest.mark.usefixtures("stopping")
async def test_goes_on_from_an_earlier_one(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    first = await client.responses.create(model="tiny", input="One", instructions="Only now.")
    second = await client.responses.create(model="tiny", input="Two", previous_response_id=first.id)
    await client.responses.delete(first.id)  # what went on from it has its own memory
    third = await client.responses.create(model="tiny", input="Three", previous_response_id=second.id)
    assert third.previous_response_id == second.id
    answer = {"role": "assistant", "content": "w0 w1 w2 "}
    asked = [{"role": "user", "content": word} for word in ("One", "Two", "Three")]
    assert sent(pipeline) == [asked[0], answer, asked[1], answer, asked[2]]
    items = [item async for item in client.responses.input_items.list(third.id, order="asc", limit=2)]
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant", "user"]  # type: ignore[union-attr]
    assert items[-1].content[0].text == "Three"  # type: ignore[union-attr, index]
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(first.id)


@pytest.mark.usefixtures("stopping")
async def test_not_stored(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(model="tiny", input="One", store=False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError, match="resp_") as caught:
        await client.responses.create(model="tiny", input="Two", previous_response_id=response.id)
    assert caught.value.param == "previous_response_id"


async def test_background(client: openai.AsyncOpenAI, gate: asyncio.Event) -> None:
    queued = await client.responses.create(model="tiny", input="Hi", background=True)
    assert (queued.status, queued.output) == ("queued", [])
    stream = await client.responses.retrieve(queued.id, stream=True)
    seen = []
    async for event in stream:
        seen.append(event.type)
        if event.type == "response.output_text.delta" and event.delta.endswith("w1 "):
            assert (await client.responses.retrieve(queued.id)).status == "in_progress"
            gate.set()
    assert seen[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert seen[-1] == "response.completed"
    done = await client.responses.retrieve(queued.id)
    assert (done.status, done.output_text) == ("completed", "w0 w1 w2 w3 w4 ")


async def test_a_background_stream_goes_on_elsewhere(client: openai.AsyncOpenAI, gate: asyncio.Event) -> None:
    """The client leaves after two words; another connection has the rest, numbered on, and a third has all."""
    told = []
    async with await client.responses.create(model="tiny", input="Hi", background=True, stream=True) as stream:
        async for event in stream:
            told.append(event)
            if event.type == "response.output_text.delta":
                break
    identity = told[0].response.id  # type: ignore[union-attr]
    rest = await client.responses.retrieve(identity, stream=True, starting_after=told[-1].sequence_number)
    gate.set()
    told += [event async for event in rest]
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert "".join(e.delta for e in told if e.type == "response.output_text.delta") == "w0 w1 w2 w3 w4 "
    again = [event async for event in await client.responses.retrieve(identity, stream=True)]
    assert again == told


async def test_several_read_along(client: openai.AsyncOpenAI, gate: asyncio.Event) -> None:
    queued = await client.responses.create(model="tiny", input="Hi", background=True)

    async def read() -> list[Any]:
        return [event async for event in await client.responses.retrieve(queued.id, stream=True)]

    readers = [asyncio.create_task(read()) for _ in range(5)]
    async for event in await client.responses.retrieve(queued.id, stream=True):
        if event.type == "response.output_text.delta":
            gate.set()
    assert await asyncio.gather(*readers) == [await read()] * 5


@pytest.mark.usefixtures("gate")
async def test_leaving_a_stream_aborts_it(client: openai.AsyncOpenAI, gateway: Any, pipeline: Any) -> None:
    async with await client.responses.create(model="tiny", input="Hi", stream=True) as stream:
        created = await anext(aiter(stream))
    abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
    assert abort.request_id == pipeline.generates[0].request_id
    await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)
    left = await client.responses.cancel(created.response.id)  # type: ignore[union-attr]
    assert left.status == "cancelled"


@pytest.mark.usefixtures("gate")
async def test_leaving_before_the_end_of_a_whole_answer_aborts_it(
    client: openai.AsyncOpenAI, gateway: Any, pipeline: Any
) -> None:
    play = pipeline.play
    started = asyncio.Event()

    async def noted(g: Any) -> None:
        started.set()
        await play(g)

    pipeline.play = noted
    request = asyncio.create_task(client.responses.create(model="tiny", input="Hi"))
    await asyncio.wait_for(started.wait(), PATIENCE_S)
    request.cancel()
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id
    await asyncio.wait_for(gateway.context.request_states.idle(), PATIENCE_S)


@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("background", [True, False])
async def test_cancel(client: openai.AsyncOpenAI, gateway: Any, pipeline: Any, *, background: bool) -> None:
    stream = await client.responses.create(model="tiny", input="Hi", stream=True, background=background)
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.output_text.delta" and event.delta.endswith("w1 "):
            cancelled = await client.responses.cancel(events[0].response.id)  # type: ignore[union-attr]
    assert (cancelled.status, cancelled.output_text) == ("cancelled", "w0 w1 ")
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.status == "cancelled"
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id
    with pytest.raises(openai.BadRequestError, match="cancelled"):
        await client.responses.create(model="tiny", input="More", previous_response_id=cancelled.id)


@pytest.mark.usefixtures("gate")
async def test_deleting_ends_what_runs(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    queued = await client.responses.create(model="tiny", input="Hi", background=True)
    await client.responses.delete(queued.id)
    assert (await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)).request_id == pipeline.generates[0].request_id


async def test_a_refusal_before_the_first_token_is_a_status(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.refuse(g, "context_length_exceeded", "messages are too long", param="messages")

    pipeline.play = play
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="input are too long") as caught:
            await client.responses.create(model="tiny", input="Hi", stream=stream)
        assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")
    queued = await client.responses.create(model="tiny", input="Hi", background=True)
    *_, error, failed = [event async for event in await client.responses.retrieve(queued.id, stream=True)]
    assert (error.type, error.code, error.param) == ("error", "context_length_exceeded", "input")  # type: ignore[union-attr]
    assert (failed.type, failed.response.status) == ("response.failed", "failed")  # type: ignore[union-attr]


async def test_failing_in_the_middle(client: openai.AsyncOpenAI, pipeline: Any) -> None:
    went_on = asyncio.Event()

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 1)
        await went_on.wait()
        await pipeline.refuse(g, "deadline_exceeded", "too late")

    pipeline.play = play
    events = []
    async for event in await client.responses.create(model="tiny", input="Hi", stream=True):
        events.append(event)
        went_on.set()
    assert [event.type for event in events[-3:]] == ["response.output_item.done", "error", "response.failed"]
    kept = await client.responses.retrieve(events[0].response.id)  # type: ignore[union-attr]
    assert kept.error is not None
    assert (kept.status, kept.error.code, kept.output_text) == ("failed", "server_error", "w0 ")


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].id"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"truncation": "some"}, "truncation"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"text": {"format": {"type": "regex"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"tools": [{"type": "wand"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"background": True, "store": False}, "background"),
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
        ({"min_tokens": 9, "max_output_tokens": 2}, "min_tokens"),
        ({"stream_options": {"event_ids": True}}, "stream_options.event_ids"),
        ({"conversation": "conv_1"}, "conversation"),
    ],
)
async def test_bad_fields_are_named(http: httpx.AsyncClient, bad: dict[str, Any], param: str) -> None:
    response = await http.post(PATH, json={"input": "Hi", **bad})
    assert response.status_code in (400, 404)
    error = response.json()["error"]
    assert error["param"] == param
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.usefixtures("stopping")
async def test_only_streams_are_streamed_again(client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(model="tiny", input="Hi")
    with pytest.raises(openai.BadRequestError, match="stream"):
        await client.responses.retrieve(response.id, stream=True)


@pytest.mark.usefixtures("stopping")
async def test_pages_of_input_items(http: httpx.AsyncClient) -> None:
    words = [{"role": "user", "content": word} for word in "abc"]
    identity = (await http.post(PATH, json={"input": words})).json()["id"]
    path = f"{PATH}/{identity}/input_items"
    first = (await http.get(path, params={"limit": 2})).json()
    assert [item["content"][0]["text"] for item in first["data"]] == ["c", "b"]
    assert (first["has_more"], first["last_id"]) == (True, first["data"][1]["id"])
    rest = (await http.get(path, params={"after": first["last_id"]})).json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["a"]
    assert rest["has_more"] is False
    for params in ({"after": "msg_none"}, {"limit": 0}, {"order": "odd"}):
        assert (await http.get(path, params=params)).status_code == 400


@pytest.mark.usefixtures("stopping")
async def test_other_keys_see_nothing(serving: Any, tmp_path: Any) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[alice]\nkey = "alice-0123456789ab"\n[bob]\nkey = "bob-0123456789abcd"\n')
    async with (
        serving(api_keys_file=str(keys)) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        alice, bob = ({"authorization": f"Bearer {key}"} for key in ("alice-0123456789ab", "bob-0123456789abcd"))
        identity = (await http.post(PATH, json={"input": "Hi"}, headers=alice)).json()["id"]
        path = f"{PATH}/{identity}"
        for headers, status in ((bob, 404), (alice, 200)):
            assert (await http.get(path, headers=headers)).status_code == status
            assert (await http.get(f"{path}/input_items", headers=headers)).status_code == status
            assert (await http.post(f"{path}/cancel", headers=headers)).status_code == status
            more = {"input": "More", "previous_response_id": identity}
            assert (await http.post(PATH, json=more, headers=headers)).status_code == status
            assert (await http.delete(path, headers=headers)).status_code == status


async def make(http: httpx.AsyncClient, text: str) -> str:
    return str((await http.post(PATH, json={"input": text})).json()["id"])


async def status_of(http: httpx.AsyncClient, identity: str) -> int:
    return (await http.get(f"{PATH}/{identity}")).status_code


@pytest.mark.usefixtures("stopping")
async def test_what_memory_has_no_room_for_is_still_stored(serving: Any) -> None:
    async with (
        serving(max_kept_responses=1) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        first, second = await make(http, "1"), await make(http, "2")
        assert [await status_of(http, each) for each in (first, second)] == [200, 200]
