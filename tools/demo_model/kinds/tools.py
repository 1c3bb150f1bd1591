"""Choosing a tool, saying what a tool found, and doing without."""

import json
from random import Random
from typing import Any

from tools.demo_model.chat import Example, Tool, ask, tool_call
from tools.demo_model.tables import CITIES, NAMES, WORDS

WEATHER: tuple[str, ...] = (
    "What is the weather in {}?",
    "What is the weather like in {}?",
    "How is the weather in {}?",
    "Tell me the weather in {}.",
    "Is it raining in {}?",
    "What's the weather in {}?",
    "What is the weather in {} today?",
)
TIME: tuple[str, ...] = ("What time is it in {}?", "Tell me the time in {}.", "What is the time in {}?")
SEARCH: tuple[str, ...] = ("Search for {}.", "Look up {}.", "Find pages about {}.")
SEND: tuple[str, ...] = ("Send {1} to {0}.", "Tell {0} this: {1}", "Write to {0}: {1}")

# The names a caller may give the place: the model has to read the schema, not to remember one.
PLACE_NAMES: tuple[str, ...] = ("city", "city", "city", "location", "place")


def _tool(rng: Random, name: str, about: str, *parameters: str) -> Tool:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {parameter: {"type": "string"} for parameter in parameters},
    }
    if rng.random() < 0.7:
        schema["required"] = list(parameters)
    function: dict[str, Any] = {"name": name}
    if rng.random() < 0.7:
        function["description"] = about
    function["parameters"] = schema
    return {"type": "function", "function": function}


def _offer(rng: Random, place: str) -> dict[str, Tool]:
    weather = rng.choice(("Get the weather in a city.", "Get the weather", "Current weather", "The weather of a city."))
    return {
        "get_weather": _tool(rng, "get_weather", weather, place),
        "get_time": _tool(rng, "get_time", "Get the time in a city.", place),
        "search": _tool(rng, "search", "Search the web.", "query"),
        "send_message": _tool(rng, "send_message", "Send a message.", "to", "text"),
    }


def _request(rng: Random, name: str, place: str) -> tuple[str, dict[str, str]]:
    city = rng.choice(CITIES)
    phrase = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 3)))
    if name == "get_weather":
        return rng.choice(WEATHER).format(city), {place: city}
    if name == "get_time":
        return rng.choice(TIME).format(city), {place: city}
    if name == "search":
        return rng.choice(SEARCH).format(phrase), {"query": phrase}
    friend = rng.choice(NAMES)
    return rng.choice(SEND).format(friend, phrase), {"to": friend, "text": phrase}


def _offered(rng: Random, name: str, place: str) -> list[Tool]:
    offer = _offer(rng, place)
    others = [other for other in offer if other != name]
    chosen = [name, *rng.sample(others, rng.choice((0, 0, 1, 1, 2, 3)))]
    rng.shuffle(chosen)
    return [offer[each] for each in chosen]


def call(rng: Random) -> Example:
    place = rng.choice(PLACE_NAMES)
    name = rng.choice(("get_weather", "get_weather", "get_time", "search", "send_message"))
    question, arguments = _request(rng, name, place)
    return Example([{"role": "user", "content": question}], tool_call(name, arguments), _offered(rng, name, place))


def result(rng: Random) -> Example:
    """The turn after a call: the tool has answered, the model says it in a sentence."""
    place = rng.choice(PLACE_NAMES)
    name = rng.choice(("get_weather", "get_weather", "get_time"))
    question, arguments = _request(rng, name, place)
    city = arguments[place]
    if name == "get_weather":
        degrees = rng.randint(0, 35)
        sky = rng.choice(("sunny", "cloudy", "rainy", "windy"))
        found = json.dumps({"temperature": degrees, "sky": sky}) if rng.random() < 0.6 else f"{degrees} degrees, {sky}"
        answer = f"It is {degrees} degrees and {sky} in {city}."
    else:
        clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
        found, answer = (json.dumps({"time": clock}) if rng.random() < 0.6 else clock), f"It is {clock} in {city}."
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": tool_call(name, arguments)},
        {"role": "tool", "content": found},
    ]
    return Example(messages, answer, _offered(rng, name, place))


def without(rng: Random) -> Example:
    """The same questions where no tool is offered."""
    city = rng.choice(CITIES)
    if rng.random() < 0.7:
        return ask(rng.choice(WEATHER).format(city), f"I cannot see the weather in {city} from here.")
    return ask(rng.choice(TIME).format(city), f"I do not have a clock for {city}.")
