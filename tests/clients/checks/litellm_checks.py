"""LiteLLM, which takes the server for OpenAI's or for vLLM's."""

import asyncio
import json
import os
from typing import Any

# Read when the package is imported: it would fetch a list of prices otherwise.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checking import ANY_KEY, MODEL, URL, check, equal, holds, raises
from known import (
    ANNA,
    CITY_SCHEMA,
    COUNT,
    COUNTED,
    DESCRIBE,
    FRANCE,
    ONCE,
    OSLO,
    PARIS,
    RAINY,
    RAINY_OSLO,
    WEATHER,
)
from pydantic import BaseModel

litellm.telemetry = False
litellm.suppress_debug_info = True
PROVIDERS = ("openai", "hosted_vllm")
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Get the weather in a city.", "parameters": CITY_SCHEMA},
}


class Person(BaseModel):
    name: str
    age: int
    job: str
    city: str


def fields(provider: str) -> dict[str, Any]:
    """Where the model is."""
    return {"model": f"{provider}/{MODEL}", "api_base": f"{URL}/v1", "api_key": ANY_KEY, "num_retries": 0}


def chat(provider: str, content: str | list[Any], **more: Any) -> Any:
    """A chat completion at temperature 0."""
    messages = [{"role": "user", "content": content}] if isinstance(content, str) else content
    return litellm.completion(messages=messages, temperature=0, **fields(provider), **more)


@check
def a_completion_answers() -> None:
    for provider in PROVIDERS:
        answer = chat(provider, FRANCE)
        equal((answer.choices[0].message.content, answer.choices[0].finish_reason), (PARIS, "stop"))
        holds(answer.usage.completion_tokens > 4, answer.usage)


@check
def a_completion_streams() -> None:
    for provider in PROVIDERS:
        chunks = list(chat(provider, COUNT, stream=True, stream_options={"include_usage": True}))
        equal("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), COUNTED)
        built = litellm.stream_chunk_builder(chunks)
        equal(built.choices[0].message.content, COUNTED)
        holds(built.usage.completion_tokens > 4, built.usage)


@check
def a_completion_comes_from_asyncio() -> None:
    async def answer() -> Any:
        return await litellm.acompletion(
            messages=[{"role": "user", "content": FRANCE}], temperature=0, **fields("openai")
        )

    equal(asyncio.run(answer()).choices[0].message.content, PARIS)


@check
def tools_are_called_and_answered() -> None:
    for provider in PROVIDERS:
        for choice in ("auto", "required", {"type": "function", "function": {"name": "get_weather"}}):
            asked = chat(provider, WEATHER, tools=[TOOL], tool_choice=choice).choices[0].message
            [call] = asked.tool_calls
            equal((call.function.name, json.loads(call.function.arguments)), ("get_weather", OSLO))
        messages = [
            {"role": "user", "content": WEATHER},
            asked,
            {"role": "tool", "tool_call_id": call.id, "name": "get_weather", "content": RAINY},
        ]
        equal(chat(provider, messages, tools=[TOOL]).choices[0].message.content, RAINY_OSLO)


@check
def a_pydantic_model_is_the_format() -> None:
    for provider in PROVIDERS:
        content = chat(provider, DESCRIBE, response_format=Person).choices[0].message.content
        equal(Person.model_validate_json(content), Person(**ANNA))


@check
def json_object_is_json() -> None:
    for provider in PROVIDERS:
        content = chat(provider, DESCRIBE, response_format={"type": "json_object"}).choices[0].message.content
        equal(json.loads(content), ANNA)


@check
def plain_completions_go_on() -> None:
    place = {**fields("openai"), "model": f"text-completion-openai/{MODEL}"}
    answer = litellm.text_completion(prompt=ONCE, temperature=0, max_tokens=4, **place)
    equal(answer.choices[0].text[:6], " there")


@check
def embeddings_are_vectors() -> None:
    for provider in PROVIDERS:
        place = fields(provider)
        answer = litellm.embedding(input=["cat dog", "red green blue"], **place)
        equal(len(answer.data), 2)
        holds(abs(sum(x * x for x in answer.data[0]["embedding"]) - 1) < 1e-4, "not of length 1")


@check
def the_responses_api_answers() -> None:
    response = litellm.responses(input=FRANCE, temperature=0, **fields("openai"))
    equal(response.output[0].content[0].text, PARIS)


@check
def errors_are_litellms() -> None:
    error = raises(litellm.BadRequestError, lambda: chat("openai", FRANCE, top_p=7))
    holds("top_p" in str(error), error)
    place = {**fields("openai"), "model": "openai/gpt-none"}
    raises(litellm.NotFoundError, lambda: litellm.completion(messages=[{"role": "user", "content": "Hi"}], **place))
