"""What a model says as items and events: hand-made pieces, in the shapes of OpenAI's own types."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response as OpenAIResponse
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from xylem.services.gateway.apis.openai_responses.event_log import EventLog
from xylem.services.gateway.apis.openai_responses.event_writer import EventWriter
from xylem.services.gateway.apis.openai_responses.request import new_record, understand
from xylem.services.gateway.apis.openai_responses.thinking_tokens import ThinkingTokens
from xylem.services.gateway.generation.logprobs import Alternative, LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.generation.session import Totals
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Content, Reasoning
from xylem.shared.protocol import FinishReason

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOTALS = Totals(prompt=7, completion=6, cached=4)
PIECES = [
    OutputDelta(0, num_tokens=2, deltas=[Reasoning("let me "), Reasoning("see")]),
    OutputDelta(0, num_tokens=1, deltas=[Content("Sunny")]),
    OutputDelta(0, num_tokens=1, deltas=[CallBegun(0, "look"), CallArguments(0, '{"at":')]),
    OutputDelta(0, num_tokens=1, deltas=[CallArguments(0, '"x"}'), CallBegun(1, "wait")]),
    OutputDelta(0, num_tokens=1, last_deltas=[CallArguments(1, "{}")], finish=FinishReason.STOP),
]


async def told(pieces: list[OutputDelta], **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The response and its events, as a client reads them."""
    asked = understand(new_record({"input": "Hi", **body}, [], "gw"), ServedModel("tiny", 256, 512, 8))
    log = EventLog(records=True)
    telling = EventWriter(log, asked.response)
    telling.create_response()
    telling.begin_output()
    for piece in pieces:
        telling.add_output(piece)
    telling.end_response(TOTALS)
    log.close()
    data = b"".join([part.data async for part in log.follow()])
    events = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: ")]
    names = [line[7:].decode() for line in data.splitlines() if line.startswith(b"event: ")]
    assert names == [event["type"] for event in events]
    return json.loads(msgspec.json.encode(telling.response)), events


async def test_thoughts_text_and_calls() -> None:
    response, events = await told(PIECES)
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call", "function_call"]
    thought, message, first, second = response["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "let me see"}]
    assert message["content"][0]["text"] == "Sunny"
    assert (first["name"], first["arguments"], first["status"]) == ("look", '{"at":"x"}', "completed")
    assert (second["name"], second["arguments"]) == ("wait", "{}")
    assert len({item["id"] for item in response["output"]}) == 4
    assert first["call_id"] != second["call_id"]
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 2
    assert events[-1] == {**events[-1], "type": "response.completed", "response": response}


async def test_calls_of_free_form_tools_and_of_namespaces() -> None:
    look = {"type": "function", "name": "look", "parameters": {"type": "object"}}
    space = {"type": "namespace", "name": "agents", "description": "Many.", "tools": [look]}
    tools = [{"type": "custom", "name": "patch"}, space]
    pieces = [
        OutputDelta(0, num_tokens=1, deltas=[CallBegun(0, "patch"), CallArguments(0, '{"input": "a')]),
        OutputDelta(0, num_tokens=1, deltas=[CallArguments(0, '\\nb"}'), CallBegun(1, "agents__look")]),
        OutputDelta(0, num_tokens=1, deltas=[CallArguments(1, "{}"), CallBegun(2, "patch")]),
        OutputDelta(0, num_tokens=1, last_deltas=[CallArguments(2, "bare")], finish=FinishReason.STOP),
    ]
    response, events = await told(pieces, tools=tools)
    patch, spaced, bare = response["output"]
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "patch", "a\nb")
    assert (spaced["type"], spaced["name"], spaced["namespace"]) == ("function_call", "look", "agents")
    assert bare["input"] == "bare"  # what is no JSON is not lost
    said = [(event["type"], event.get("delta"), event.get("input")) for event in events if "custom" in event["type"]]
    kind = "response.custom_tool_call_input"
    assert said[:2] == [(f"{kind}.delta", "a\nb", None), (f"{kind}.done", None, "a\nb")]
    for event in events:
        EVENT.validate_python(event)
    assert response["tools"] == tools


async def test_events_add_up_to_the_items() -> None:
    response, events = await told(PIECES)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    deltas = {"reasoning_text": "", "output_text": "", "function_call_arguments": ""}
    for event in events:
        name, _, what = event["type"].removeprefix("response.").partition(".")
        if what == "delta":
            deltas[name] += event["delta"]
    assert deltas == {
        "reasoning_text": "let me see",
        "output_text": "Sunny",
        "function_call_arguments": '{"at":"x"}{}',
    }
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [(item["id"], item["status"]) for item in added] == [(item["id"], "in_progress") for item in done]


async def test_they_are_what_the_client_knows() -> None:
    response, events = await told(PIECES)
    known = OpenAIResponse.model_validate(response)
    assert (known.output_text, known.status) == ("Sunny", "completed")
    for event in events:
        assert EVENT.validate_python(event, strict=True).type == event["type"]


async def test_what_is_cut_is_incomplete() -> None:
    cut = OutputDelta(0, num_tokens=1, deltas=[CallArguments(1, "{")], finish=FinishReason.LENGTH)
    response, events = await told([*PIECES[:-1], cut])
    assert [item["status"] for item in response["output"]] == ["completed"] * 3 + ["incomplete"]
    assert (response["status"], events[-1]["type"]) == ("incomplete", "response.incomplete")


async def test_an_answer_of_nothing_is_an_empty_message() -> None:
    response, _ = await told([OutputDelta(0, finish=FinishReason.STOP)])
    assert [part["text"] for item in response["output"] for part in item["content"]] == [""]


async def test_log_probabilities_go_with_their_text() -> None:
    token = LogprobToken(5, b"Hi", -0.5, 0, 2, top=(Alternative(6, b"Ho", -1.5),))
    end = LogprobToken(2, b"", -0.1, 2, 2)
    pieces = [
        OutputDelta(0, deltas=[Content("Hi")], scored=[token]),
        OutputDelta(0, scored=[end], finish=FinishReason.STOP),
    ]
    response, events = await told(pieces)
    (part,) = response["output"][0]["content"]
    assert [(each["token"], each["logprob"]) for each in part["logprobs"]] == [("Hi", -0.5), ("", -0.1)]
    assert part["logprobs"][0]["top_logprobs"] == [{"token": "Ho", "logprob": -1.5, "bytes": [72, 111]}]
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert [each for delta in deltas for each in delta] == part["logprobs"]


def test_thinking_tokens() -> None:
    counted = ThinkingTokens()
    for piece in (
        OutputDelta(0, num_tokens=1),  # a marker before anything is said
        OutputDelta(0, num_tokens=3, deltas=[Reasoning("abc")]),
        OutputDelta(0, num_tokens=1),  # held back
        OutputDelta(0, num_tokens=4, deltas=[Reasoning("ab"), Content("ab")]),
        OutputDelta(0, num_tokens=5, deltas=[Content("abcd")]),
    ):
        counted.add_output(piece)
    assert counted.count == 3 + 1 + 2


async def test_readers_of_a_log_have_all_of_it() -> None:
    """Each reader begins at another time and place; none misses what comes while it waits."""
    log = EventLog(records=True)
    asked = understand(new_record({"input": "Hi"}, [], "gw"), ServedModel("tiny", 256, 512, 8))
    telling = EventWriter(log, asked.response)
    telling.create_response()
    telling.begin_output()

    async def read(after: int) -> bytes:
        return b"".join([part.data async for part in log.follow(after)])

    readers = []
    for number in range(20):
        readers.append(asyncio.create_task(read(number - 1)))
        await asyncio.wait(readers[-1:], timeout=0)  # it runs until it waits
        telling.add_output(OutputDelta(0, num_tokens=1, deltas=[Content(f"{number} ")]))
    telling.end_response(TOTALS)
    log.close()
    whole = (await read(-1)).split(b"\n\n")
    for number, data in enumerate(await asyncio.gather(*readers)):
        assert data.split(b"\n\n") == whole[number:]


@pytest.mark.parametrize("after", [100, 10**9])
async def test_nothing_is_after_the_end(after: int) -> None:
    log = EventLog(records=True)
    log.close()
    assert [part.data async for part in log.follow(after)] == []
