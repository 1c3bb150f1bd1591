"""Structured output: pydantic models, JSON schemas, any JSON, and vLLM's ways to say it."""

import json
from typing import Literal

from checking import MODEL, check, equal, holds, raises
from known import ANNA, DESCRIBE, FRANCE
from openai import BadRequestError
from openai_client import ask, chat, client
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int
    job: str
    city: str


class Guess(BaseModel):
    capital: Literal["Rome", "Lima"]


@check
def parse_gives_a_pydantic_model() -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=ask(DESCRIBE), temperature=0, response_format=Person)
    equal(answer.choices[0].message.parsed, Person(name="Anna", age=34, job="baker", city="Oslo"))


@check
def the_schema_and_not_the_model_decides() -> None:
    # Left alone it would say a sentence about Paris.
    answer = client.chat.completions.parse(model=MODEL, messages=ask(FRANCE), temperature=0, response_format=Guess)
    parsed = answer.choices[0].message.parsed
    holds(parsed is not None and parsed.capital in ("Rome", "Lima"), parsed)


@check
def a_schema_can_be_written_out() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}, "ages": {"$ref": "#/$defs/ages"}},
        "required": ["city", "ages"],
        "additionalProperties": False,
        "$defs": {"ages": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    found = json.loads(chat(DESCRIBE, response_format=wanted, max_tokens=64).choices[0].message.content)
    holds(found["city"] in ("Oslo", "Rome"), found)
    holds(1 <= len(found["ages"]) <= 3 and all(type(age) is int for age in found["ages"]), found)


@check
def json_object_is_json() -> None:
    content = chat(DESCRIBE, response_format={"type": "json_object"}).choices[0].message.content
    equal(json.loads(content), ANNA)


@check
def the_stream_helper_parses() -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=ask(DESCRIBE), temperature=0, response_format=Person
    ) as stream:
        partial = [event.parsed for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    holds(len(partial) > 1, partial)
    parsed = final.choices[0].message.parsed
    equal(parsed and parsed.model_dump(), ANNA)


@check
def extra_fields_choose_among_texts_and_patterns() -> None:
    choice = chat(FRANCE, extra_body={"structured_outputs": {"choice": ["Berlin", "Rome"]}})
    holds(choice.choices[0].message.content in ("Berlin", "Rome"), choice)
    number = chat("A phone number", extra_body={"regex": "[0-9]{3}-[0-9]{4}"})
    equal(number.choices[0].message.content, "555-0134")


@check
def a_schema_that_is_none_is_refused() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "bad", "schema": {"type": "thing"}}}
    error = raises(BadRequestError, lambda: chat(FRANCE, response_format=wanted))
    equal(error.param, "response_format.json_schema.schema")
    holds("thing" in error.message, error.message)
