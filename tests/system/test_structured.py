"""Output that has to have a form: schemas, patterns, grammars and forced calls, through the whole pipeline."""

import asyncio
import json
import re
from typing import Any

import httpx
import jsonschema
import pytest

from tests.serving import Served
from tests.system.asking import chat_body, client, streamed, whole

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
HOT: dict[str, Any] = {"temperature": 1.5, "max_tokens": 400}


async def post(http: httpx.AsyncClient, prompt: str, **fields: Any) -> dict[str, Any]:
    response = await http.post("/v1/chat/completions", json=chat_body(prompt, **fields))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_schemas_hold_whatever_is_drawn(served: Served) -> None:
    """Many at once, next to free requests; n and streams too."""
    async with client(served.url) as http:
        free = asyncio.gather(*(whole(http, f"Count from {i} to {i + 5}.") for i in range(4)))
        wholes = [whole(http, "Who?", response_format=FORMAT, seed=i, **HOT) for i in range(8)]
        streams = [streamed(http, "Who?", response_format=FORMAT, seed=i, **HOT) for i in range(8)]
        several = post(http, "Who?", response_format=FORMAT, seed=0, n=4, **HOT)
        answers = await asyncio.gather(*wholes)
        again = await asyncio.gather(*streams)
        choices = (await several)["choices"]
        assert [answer.text for answer in answers] == [answer.text for answer in again]
        assert [choice["message"]["content"] for choice in choices] == [answer.text for answer in answers[:4]]
        for answer in answers:
            assert answer.finish_reason == "stop"
            jsonschema.validate(json.loads(answer.text), PERSON)
        assert len({answer.text for answer in answers}) > 1
        assert [answer.text for answer in await free] == [
            (await whole(http, f"Count from {i} to {i + 5}.")).text for i in range(4)
        ]


@pytest.mark.parametrize(
    ("fields", "pattern"),
    [
        ({"regex": "[0-9]{3}-[a-f]{2}"}, "[0-9]{3}-[a-f]{2}"),
        ({"guided_choice": ["yes", "no", "maybe so"]}, "yes|no|maybe so"),
        ({"structured_outputs": {"grammar": 'root ::= "x" [0-9] ("," [0-9]){2}'}}, "x[0-9](,[0-9]){2}"),
        ({"response_format": {"type": "json_object"}, "temperature": 0}, r"\{[\s\S]*\}"),
        ({"regex": "[0-9]{3}-[a-f]{2}", "min_tokens": 40}, "[0-9]{3}-[a-f]{2}"),
        ({"regex": "[0-9]{3}-[a-f]{2}", "ignore_eos": True}, "[0-9]{3}-[a-f]{2}"),
        ({"regex": "[a-z]{30}", "frequency_penalty": 2, "repetition_penalty": 2}, "[a-z]{30}"),
    ],
)
async def test_every_kind(served: Served, fields: dict[str, Any], pattern: str) -> None:
    async with client(served.url) as http:
        for seed in range(3):
            answer = await whole(http, "Well?", seed=seed, **HOT | fields)
            assert re.fullmatch(pattern, answer.text), answer.text
            assert answer.finish_reason == "stop"


async def test_stop_strings_end_what_has_a_form_too(served: Served) -> None:
    async with client(served.url) as http:
        answer = await whole(http, "Well?", regex="[0-9]{3}-[a-f]{2}", stop=["-"], **HOT)
        assert re.fullmatch("[0-9]{3}", answer.text)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"regex": "("}, "regex"),
        ({"ebnf": "root ::= missing"}, "ebnf"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "strange"}}}},
            "response_format.json_schema.schema",
        ),
        ({"json_schema": "{"}, "json_schema"),
        ({"structural_tag": {"type": "structural_tag", "format": {"type": "unknown"}}}, "structural_tag"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_does_not_compile_is_the_clients_fault(
    served: Served, fields: dict[str, Any], param: str, stream: bool
) -> None:
    async with client(served.url) as http:
        response = await http.post("/v1/chat/completions", json=chat_body("x", stream=stream, **fields))
        assert response.status_code == 400, response.text
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param
        assert (await whole(http, "What is the capital of France?")).text == "The capital of France is Paris."


TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": PERSON}},
    {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}},
]


@pytest.mark.parametrize(
    ("choice", "parallel", "allowed"),
    [
        ("required", True, {"weather", "time"}),
        ("required", False, {"weather", "time"}),
        ({"type": "function", "function": {"name": "weather"}}, True, {"weather"}),
    ],
)
async def test_forced_calls_can_not_fail(served: Served, choice: Any, parallel: bool, allowed: set[str]) -> None:
    async with client(served.url) as http:
        for seed in range(4):
            fields = {"tools": TOOLS, "tool_choice": choice, "parallel_tool_calls": parallel, "seed": seed}
            answer = (await post(http, "Well?", **HOT, **fields))["choices"][0]
            if answer["finish_reason"] == "length":
                continue  # it never stopped calling
            calls = answer["message"]["tool_calls"]
            assert answer["finish_reason"] == ("tool_calls" if choice == "required" else "stop")
            assert answer["message"]["content"] is None
            assert {call["function"]["name"] for call in calls} <= allowed
            assert len(calls) == 1 or (parallel and choice == "required")
            for call in calls:
                if call["function"]["name"] == "weather":
                    jsonschema.validate(json.loads(call["function"]["arguments"]), PERSON)
