"""The client of all openai files, and tools as its documentation writes them."""

from typing import Any

from checking import ANY_KEY, MODEL, URL
from known import CITY_SCHEMA
from openai import OpenAI

client = OpenAI(base_url=f"{URL}/v1", api_key=ANY_KEY, max_retries=0, timeout=60)


def ask(content: str) -> list[Any]:
    """A conversation of one question."""
    return [{"role": "user", "content": content}]


def chat(messages: str | list[Any], **fields: Any) -> Any:
    """A chat completion at temperature 0."""
    if isinstance(messages, str):
        messages = ask(messages)
    return client.chat.completions.create(**{"model": MODEL, "messages": messages, "temperature": 0, **fields})


def tool(name: str, description: str) -> dict[str, Any]:
    """A tool that takes a city."""
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": CITY_SCHEMA, "strict": True},
    }


GET_WEATHER = tool("get_weather", "Get the weather in a city.")
GET_TIME = tool("get_time", "Get the time in a city.")
