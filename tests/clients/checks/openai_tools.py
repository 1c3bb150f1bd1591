"""Tools: chosen by the model, forced, answered, streamed, and read into pydantic models."""

import json
from typing import Any

import openai
from checking import MODEL, check, equal, holds
from known import CLOCK, CLOCK_OSLO, FRANCE, OSLO, RAINY, RAINY_OSLO, TIME, WEATHER
from openai_client import GET_TIME, GET_WEATHER, ask, chat, client
from pydantic import BaseModel


class GetWeather(BaseModel):
    """Get the weather in a city."""

    city: str


def the_call(answer: Any, name: str = "get_weather", *, reason: str = "tool_calls") -> Any:
    """The only call of an answer, which has arguments for Oslo. reason: "stop" where the request names the tool."""
    choice = answer.choices[0]
    equal(choice.finish_reason, reason)
    calls = choice.message.tool_calls
    equal([(call.type, call.function.name) for call in calls], [("function", name)])
    equal(json.loads(calls[0].function.arguments), OSLO)
    holds(calls[0].id, calls[0])
    return calls[0]


@check
def the_model_chooses_a_tool() -> None:
    the_call(chat(WEATHER, tools=[GET_WEATHER]))
    the_call(chat(TIME, tools=[GET_WEATHER, GET_TIME]), "get_time")


@check
def the_model_may_answer_without() -> None:
    choice = chat(WEATHER, tools=[GET_WEATHER], tool_choice="none").choices[0]
    equal((choice.message.tool_calls, choice.finish_reason), (None, "stop"))


@check
def a_tool_can_be_forced() -> None:
    the_call(chat(WEATHER, tools=[GET_WEATHER, GET_TIME], tool_choice="required"))
    named = {"type": "function", "function": {"name": "get_time"}}
    forced = chat(FRANCE, tools=[GET_WEATHER, GET_TIME], tool_choice=named, max_tokens=64)
    equal(forced.choices[0].message.tool_calls[0].function.name, "get_time")
    holds("city" in json.loads(forced.choices[0].message.tool_calls[0].function.arguments), forced)


@check
def what_a_tool_found_is_told() -> None:
    for question, tool, found, told in (
        (WEATHER, GET_WEATHER, RAINY, RAINY_OSLO),
        (TIME, GET_TIME, CLOCK, CLOCK_OSLO),
    ):
        messages: list[Any] = ask(question)
        asked = chat(messages, tools=[tool])
        call = the_call(asked, tool["function"]["name"])
        messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": found}]
        equal(chat(messages, tools=[tool]).choices[0].message.content, told)


@check
def calls_are_streamed_in_pieces() -> None:
    calls: dict[int, dict[str, str]] = {}
    reasons = []
    for chunk in chat(WEATHER, tools=[GET_WEATHER], stream=True):
        reasons.append(chunk.choices[0].finish_reason)
        for piece in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += piece.id or ""
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
    equal(list(calls), [0])
    equal(calls[0]["name"], "get_weather")
    equal(json.loads(calls[0]["arguments"]), OSLO)
    holds(calls[0]["id"], calls)
    equal(reasons[-1], "tool_calls")


@check
def a_forced_call_is_streamed() -> None:
    named = {"type": "function", "function": {"name": "get_weather"}}
    with client.chat.completions.stream(
        model=MODEL, messages=ask(WEATHER), temperature=0, tools=[GET_WEATHER], tool_choice=named
    ) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        the_call(stream.get_final_completion(), reason="stop")
    equal([(event.name, json.loads(event.arguments)) for event in done], [("get_weather", OSLO)])


@check
def arguments_are_parsed_into_a_pydantic_model() -> None:
    tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
    answer = client.chat.completions.parse(model=MODEL, messages=ask(WEATHER), temperature=0, tools=[tool])
    equal(answer.choices[0].message.tool_calls[0].function.parsed_arguments, GetWeather(city="Oslo"))
