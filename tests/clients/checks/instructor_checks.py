"""Instructor: pydantic models by a forced tool, by a JSON schema, by JSON mode, streamed, and asked for again."""

from typing import Any

import instructor
from checking import ANY_KEY, MODEL, URL, check, equal, holds
from known import ANNA, DESCRIBE, OSLO, WEATHER
from openai import OpenAI
from pydantic import BaseModel, create_model, field_validator


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    job: str
    city: str


class Loud(BaseModel):
    """A name that is only accepted after a complaint."""

    name: str

    @field_validator("name")
    @classmethod
    def complain(cls, name: str) -> str:
        COMPLAINTS.append(name)
        if len(COMPLAINTS) == 1:
            raise ValueError("once more, please")
        return name


# A tool that the model knows: the package takes the name of the class for the tool's.
Weather = create_model("get_weather", __doc__="Get the weather in a city.", city=(str, ...))

COMPLAINTS: list[str] = []
MESSAGES: Any = [{"role": "user", "content": DESCRIBE}]
ASK_WEATHER: Any = [{"role": "user", "content": WEATHER}]


def client(mode: instructor.Mode) -> Any:
    """OpenAI's client, patched for a mode."""
    return instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=ANY_KEY, max_retries=0), mode=mode)


def person(mode: instructor.Mode) -> Any:
    """Anna, without asking again if it comes out wrong."""
    return client(mode).chat.completions.create(
        model=MODEL, messages=MESSAGES, response_model=Person, temperature=0, max_tokens=96, max_retries=0
    )


@check
def a_tool_is_forced() -> None:
    for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT):
        found = client(mode).chat.completions.create(
            model=MODEL, messages=ASK_WEATHER, response_model=Weather, temperature=0, max_tokens=96, max_retries=0
        )
        equal(found.model_dump(), OSLO)


@check
def a_tool_is_forced_through_the_responses_api() -> None:
    # It asks for the same schema as a tool that must be called and as the format of the text.
    found = client(instructor.Mode.RESPONSES_TOOLS).chat.completions.create(
        model=MODEL, messages=ASK_WEATHER, response_model=Weather, temperature=0, max_tokens=96, max_retries=0
    )
    equal(found.model_dump(), OSLO)


@check
def a_json_schema_is_met() -> None:
    equal(person(instructor.Mode.JSON_SCHEMA).model_dump(), ANNA)  # it is a class made from ours


@check
def json_mode_is_parsed() -> None:
    # The schema goes into a system message, which the model has to read over.
    holds(isinstance(person(instructor.Mode.JSON), Person), "no person")


@check
def a_model_grows_as_it_streams() -> None:
    partial = list(
        client(instructor.Mode.JSON_SCHEMA).chat.completions.create_partial(
            model=MODEL, messages=MESSAGES, response_model=Person, temperature=0, max_tokens=96
        )
    )
    equal(partial[-1].model_dump(), ANNA)
    holds(len(partial) > 1, len(partial))


@check
def what_is_invalid_is_asked_for_again() -> None:
    COMPLAINTS.clear()
    found = client(instructor.Mode.TOOLS).chat.completions.create(
        model=MODEL, messages=MESSAGES, response_model=Loud, temperature=0, max_tokens=96, max_retries=2
    )
    holds(isinstance(found, Loud), found)
    equal(len(COMPLAINTS), 2)
