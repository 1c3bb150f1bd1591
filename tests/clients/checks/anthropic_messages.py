"""Anthropic's package: messages, streams, tools, structured output, counting tokens, errors."""

import asyncio
import json
from typing import Any

import anthropic
from checking import ANY_KEY, KEY, MODEL, URL, check, check_with_key, equal, holds, raises
from known import (
    ANNA,
    CITY_SCHEMA,
    COUNT,
    COUNTED,
    DESCRIBE,
    FRANCE,
    MADRID,
    OSLO,
    PARIS,
    RAINY,
    RAINY_OSLO,
    SPAIN_TOO,
    WEATHER,
)
from pydantic import BaseModel

client = anthropic.Anthropic(base_url=URL, api_key=ANY_KEY, max_retries=0, timeout=60)
TOOL: Any = {"name": "get_weather", "description": "Get the weather in a city.", "input_schema": CITY_SCHEMA}


class Person(BaseModel):
    name: str
    age: int
    job: str
    city: str


def ask(content: str) -> list[Any]:
    """A conversation of one question."""
    return [{"role": "user", "content": content}]


def message(content: str | list[Any], **fields: Any) -> Any:
    """A message; the package has no temperature of its own any more, so it goes into the body."""
    messages = ask(content) if isinstance(content, str) else content
    wanted = {"model": MODEL, "max_tokens": 64, "messages": messages, "extra_body": {"temperature": 0}}
    return client.messages.create(**{**wanted, **fields})


@check
def a_message_answers() -> None:
    answer = message(FRANCE, system="You are helpful.")
    equal([(block.type, block.text) for block in answer.content], [("text", PARIS)])
    equal((answer.role, answer.stop_reason, answer.model, answer.type), ("assistant", "end_turn", MODEL, "message"))
    holds(answer.usage.input_tokens > 0 and answer.usage.output_tokens > 4, answer.usage)


@check
def a_message_remembers_earlier_turns() -> None:
    turns = [
        *ask(FRANCE),
        {"role": "assistant", "content": [{"type": "text", "text": PARIS}]},
        *ask(SPAIN_TOO),
    ]
    equal(message(turns).content[0].text, MADRID)


@check
def a_message_ends_where_it_is_told_to() -> None:
    stopped = message(COUNT, stop_sequences=["6"])
    equal((stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence), ("3, 4, 5, ", "stop_sequence", "6"))
    short = message(COUNT, max_tokens=3)
    equal((short.stop_reason, short.usage.output_tokens), ("max_tokens", 3))


@check
def a_message_streams_events() -> None:
    events = list(message(COUNT, stream=True))
    kinds = [event.type for event in events if event.type not in ("ping", "content_block_delta")]
    equal(kinds, ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
    pieces = [event.delta.text for event in events if event.type == "content_block_delta"]
    equal("".join(pieces), COUNTED)
    holds(len(pieces) > 1, pieces)


@check
def the_stream_helper_builds_the_message() -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=64, messages=ask(FRANCE), extra_body={"temperature": 0}
    ) as stream:
        equal("".join(stream.text_stream), PARIS)
        final = stream.get_final_message()
    equal((final.content[0].text, final.stop_reason), (PARIS, "end_turn"))
    holds(final.usage.output_tokens > 4, final.usage)


@check
def a_stream_can_be_left() -> None:
    with client.messages.stream(model=MODEL, max_tokens=2000, messages=ask(COUNT)) as stream:
        equal(next(iter(stream)).type, "message_start")
    equal(message(FRANCE).content[0].text, PARIS)


@check
def a_tool_is_used_and_what_it_found_is_told() -> None:
    for choice in ({"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}):
        asked = message(WEATHER, tools=[TOOL], tool_choice=choice)
        equal(asked.stop_reason, "tool_use")
        [use] = asked.content
        equal((use.type, use.name, use.input), ("tool_use", "get_weather", OSLO))
    found = {"type": "tool_result", "tool_use_id": use.id, "content": RAINY}
    turns = [*ask(WEATHER), {"role": "assistant", "content": asked.content}, {"role": "user", "content": [found]}]
    equal(message(turns, tools=[TOOL]).content[0].text, RAINY_OSLO)


@check
def tools_are_run_by_the_package() -> None:
    # The runner asks for a conversation that the server holds, is told that there is none, and goes on without.
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Get the weather in a city."""
        asked.append(city)
        return RAINY

    runner = client.beta.messages.tool_runner(
        model=MODEL, max_tokens=64, tools=[get_weather], messages=ask(WEATHER), extra_body={"temperature": 0}
    )
    equal(runner.until_done().content[0].text, RAINY_OSLO)
    equal(asked, ["Oslo"])


@check
def a_tool_is_not_used_if_not_wanted() -> None:
    answer = message(WEATHER, tools=[TOOL], tool_choice={"type": "none"})
    equal({block.type for block in answer.content}, {"text"})


@check
def a_tool_use_is_streamed_in_pieces() -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=64, messages=ask(WEATHER), tools=[TOOL], extra_body={"temperature": 0}
    ) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    equal(json.loads("".join(pieces)), OSLO)
    equal((final.content[0].input, final.stop_reason), (OSLO, "tool_use"))


@check
def parse_gives_a_pydantic_model() -> None:
    parsed = client.messages.parse(
        model=MODEL, max_tokens=64, messages=ask(DESCRIBE), output_format=Person, extra_body={"temperature": 0}
    )
    equal(parsed.parsed_output, Person(**ANNA))


@check
def tokens_are_counted() -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=ask(FRANCE))
    usage = message(FRANCE, max_tokens=1).usage  # where what was found in the cache stands by itself
    equal(counted.input_tokens, usage.input_tokens + (usage.cache_read_input_tokens or 0))
    with_tool = client.messages.count_tokens(model=MODEL, messages=ask(FRANCE), tools=[TOOL])
    holds(with_tool.input_tokens > counted.input_tokens, with_tool)


@check
def many_ask_at_once_from_asyncio() -> None:
    async def answers() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=ANY_KEY, max_retries=0) as asking:
            wanted = [
                asking.messages.create(
                    model=MODEL, max_tokens=16, messages=ask(f"What is {a} plus 4?"), extra_body={"temperature": 0}
                )
                for a in range(1, 5)
            ]
            return [answer.content[0].text for answer in await asyncio.gather(*wanted)]

    equal(asyncio.run(answers()), [f"{a} plus 4 is {a + 4}." for a in range(1, 5)])


@check
def models_are_listed() -> None:
    equal([model.id for model in client.models.list()], [MODEL])
    equal(client.models.retrieve(MODEL).id, MODEL)


@check
def a_bad_field_is_named() -> None:
    error = raises(anthropic.BadRequestError, lambda: message(FRANCE, max_tokens=0))
    equal((error.status_code, error.body["type"], error.body["error"]["type"]), (400, "error", "invalid_request_error"))
    holds("max_tokens" in error.body["error"]["message"], error.body)


@check
def what_is_not_there_is_not_found() -> None:
    error = raises(anthropic.NotFoundError, lambda: message(FRANCE, model="claude-sonnet"))
    equal(error.body["error"]["type"], "not_found_error")


@check_with_key
def a_wrong_key_is_refused() -> None:
    stranger = anthropic.Anthropic(base_url=URL, api_key=KEY + "x", max_retries=0)
    create = stranger.messages.create
    error = raises(anthropic.AuthenticationError, lambda: create(model=MODEL, max_tokens=8, messages=ask(FRANCE)))
    equal(error.body["error"]["type"], "authentication_error")
