"""The Responses API: made, streamed, retrieved, gone on from, with tools, in the background, and deleted."""

import json
from typing import Any

from checking import MODEL, check, equal, holds, raises, soon
from known import (
    ANNA,
    CITY_SCHEMA,
    COUNT,
    COUNTED,
    DESCRIBE,
    FRANCE,
    LONG_STORY,
    MADRID,
    OSLO,
    PARIS,
    RAINY,
    RAINY_OSLO,
    SPAIN_TOO,
    WEATHER,
)
from openai import NotFoundError
from openai_client import client
from openai_structured import Person

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": CITY_SCHEMA,
    "strict": True,
}


def respond(content: Any, **fields: Any) -> Any:
    """A response at temperature 0."""
    return client.responses.create(**{"model": MODEL, "input": content, "temperature": 0, **fields})


@check
def a_response_answers() -> None:
    response = respond(FRANCE, instructions="You are helpful.", metadata={"purpose": "a check"})
    equal(response.output_text, PARIS)
    equal((response.status, response.error, response.metadata), ("completed", None, {"purpose": "a check"}))
    equal(response.instructions, "You are helpful.")
    equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens)


@check
def a_response_streams_named_events() -> None:
    events = list(respond(COUNT, stream=True))
    equal([event.sequence_number for event in events], list(range(len(events))))
    equal((events[0].type, events[-1].type), ("response.created", "response.completed"))
    equal("".join(event.delta for event in events if event.type == "response.output_text.delta"), COUNTED)
    equal(events[-1].response.output_text, COUNTED)


@check
def the_response_stream_helper_builds_the_response() -> None:
    with client.responses.stream(model=MODEL, input=DESCRIBE, temperature=0, text_format=Person) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    equal(json.loads("".join(deltas)), ANNA)
    equal(final.output_parsed, Person(**ANNA))


@check
def a_response_is_kept() -> None:
    response = respond(FRANCE)
    equal(client.responses.retrieve(response.id).output_text, PARIS)
    [item] = client.responses.input_items.list(response.id).data
    equal((item.role, item.content[0].text), ("user", FRANCE))
    client.responses.delete(response.id)
    raises(NotFoundError, lambda: client.responses.retrieve(response.id))


@check
def a_response_is_not_kept_if_not_wanted() -> None:
    response = respond(FRANCE, store=False)
    raises(NotFoundError, lambda: client.responses.retrieve(response.id))


@check
def a_response_goes_on_from_another() -> None:
    first = respond(FRANCE)
    second = respond(SPAIN_TOO, previous_response_id=first.id)
    equal((second.output_text, second.previous_response_id), (MADRID, first.id))


@check
def a_response_calls_a_tool_and_tells_what_it_found() -> None:
    asked = respond(WEATHER, tools=[TOOL])
    [call] = asked.output
    equal((call.type, call.name, json.loads(call.arguments)), ("function_call", "get_weather", OSLO))
    found = [{"type": "function_call_output", "call_id": call.call_id, "output": RAINY}]
    equal(respond(found, previous_response_id=asked.id, tools=[TOOL]).output_text, RAINY_OSLO)
    # The same without anything kept: the client sends the items back.
    items = [{"role": "user", "content": WEATHER}, *asked.output, *found]
    equal(respond(items, tools=[TOOL], store=False).output_text, RAINY_OSLO)


@check
def a_response_can_be_made_to_call() -> None:
    forced = respond(WEATHER, tools=[TOOL], tool_choice={"type": "function", "name": "get_weather"}, stream=True)
    events = list(forced)
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    equal(json.loads("".join(pieces)), OSLO)
    [call] = events[-1].response.output
    equal((call.name, json.loads(call.arguments)), ("get_weather", OSLO))


@check
def a_response_is_parsed() -> None:
    parsed = client.responses.parse(model=MODEL, input=DESCRIBE, text_format=Person, temperature=0)
    equal(parsed.output_parsed, Person(**ANNA))


@check
def a_response_that_is_too_long_says_so() -> None:
    response = respond(COUNT, max_output_tokens=3)
    equal((response.status, response.incomplete_details.reason), ("incomplete", "max_output_tokens"))
    holds(COUNTED.startswith(response.output_text), response.output_text)


@check
def a_response_is_made_in_the_background() -> None:
    response = respond(FRANCE, background=True)
    holds(response.status in ("queued", "in_progress", "completed"), response.status)
    soon(lambda: client.responses.retrieve(response.id).status == "completed")
    equal(client.responses.retrieve(response.id).output_text, PARIS)


@check
def a_response_in_the_background_is_cancelled() -> None:
    response = respond(LONG_STORY, background=True, max_output_tokens=3000, extra_body={"ignore_eos": True})
    equal(client.responses.cancel(response.id).status, "cancelled")
    equal(client.responses.retrieve(response.id).status, "cancelled")
