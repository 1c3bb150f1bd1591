"""Errors, as the package's own exceptions."""

import openai
from checking import KEY, MODEL, URL, check, check_with_key, equal, holds, raises
from known import FRANCE
from openai_client import ask, chat, client


@check
def a_bad_field_is_named() -> None:
    for fields, param in (({"temperature": 3}, "temperature"), ({"n": 0}, "n"), ({"stop": 7}, "stop")):
        error = raises(openai.BadRequestError, lambda fields=fields: chat(FRANCE, **fields))
        equal((error.status_code, error.param, error.type), (400, param, "invalid_request_error"))
        holds(param in error.message, error.message)


@check
def an_unknown_field_is_named() -> None:
    error = raises(openai.BadRequestError, lambda: chat(FRANCE, extra_body={"temprature": 0}))
    equal(error.param, "temprature")
    holds("temperature" in error.message, error.message)


@check
def a_missing_message_is_named() -> None:
    error = raises(openai.BadRequestError, lambda: chat([]))
    equal(error.param, "messages")


@check
def a_prompt_beyond_the_context_is_refused() -> None:
    error = raises(openai.BadRequestError, lambda: chat("red green blue " * 3000))
    equal(error.code, "context_length_exceeded")


@check
def what_is_not_there_is_not_found() -> None:
    error = raises(openai.NotFoundError, lambda: chat(FRANCE, model="gpt-4o"))
    equal((error.status_code, error.code), (404, "model_not_found"))
    raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-4o"))
    raises(openai.NotFoundError, lambda: client.responses.retrieve("resp_nothing"))
    raises(openai.NotFoundError, lambda: client.files.list())


@check
def a_stream_is_refused_before_it_begins() -> None:
    raises(openai.BadRequestError, lambda: chat(FRANCE, stream=True, temperature=3))


@check_with_key
def a_wrong_key_is_refused() -> None:
    stranger = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY + "x", max_retries=0)
    create = stranger.chat.completions.create
    error = raises(openai.AuthenticationError, lambda: create(model=MODEL, messages=ask(FRANCE)))
    equal((error.status_code, error.code), (401, "invalid_api_key"))
