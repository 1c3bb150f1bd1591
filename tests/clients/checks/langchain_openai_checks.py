"""LangChain's ChatOpenAI and OpenAIEmbeddings."""

import asyncio
import math
from typing import Any

import openai
from checking import ANY_KEY, MODEL, URL, check, equal, holds, raises
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
    SEVEN,
    SPAIN_TOO,
    SUM,
    WEATHER,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    name: str
    age: int
    job: str
    city: str


@tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return RAINY if city == "Oslo" else "unknown"


def model(**fields: Any) -> ChatOpenAI:
    """The chat model at temperature 0."""
    return ChatOpenAI(
        **{"model": MODEL, "base_url": f"{URL}/v1", "api_key": ANY_KEY, "temperature": 0, "max_retries": 0, **fields}
    )


@check
def invoke_answers() -> None:
    answer = model().invoke(FRANCE)
    equal(answer.content, PARIS)
    equal(answer.response_metadata["finish_reason"], "stop")
    usage = answer.usage_metadata
    equal(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])


@check
def invoke_reads_a_conversation() -> None:
    turns = [SystemMessage("You are helpful."), HumanMessage(FRANCE), AIMessage(PARIS), HumanMessage(SPAIN_TOO)]
    equal(model().invoke(turns).content, MADRID)


@check
def stream_brings_pieces() -> None:
    pieces = [piece.content for piece in model(stream_usage=True).stream(COUNT)]
    equal("".join(pieces), COUNTED)
    holds(len(pieces) > 2, pieces)


@check
def batches_and_asyncio_work() -> None:
    equal([answer.content for answer in model().batch([FRANCE, SUM])], [PARIS, SEVEN])

    async def streamed() -> str:
        return "".join([str(piece.content) async for piece in model().astream(SUM)])

    equal(asyncio.run(streamed()), SEVEN)


@check
def log_probabilities_are_bound() -> None:
    answer = model().bind(logprobs=True, top_logprobs=2).invoke(FRANCE)
    tokens = answer.response_metadata["logprobs"]["content"]
    equal("".join(token["token"] for token in tokens[:-1]), PARIS)


@check
def tools_are_bound_called_and_answered() -> None:
    bound = model().bind_tools([get_weather])
    asked = bound.invoke(WEATHER)
    [call] = asked.tool_calls
    equal((call["name"], call["args"]), ("get_weather", OSLO))
    result = get_weather.invoke(call)
    holds(isinstance(result, ToolMessage), result)
    equal(bound.invoke([HumanMessage(WEATHER), asked, result]).content, RAINY_OSLO)


@check
def a_tool_is_forced() -> None:
    for choice in ("get_weather", "any", "required"):
        [call] = model().bind_tools([get_weather], tool_choice=choice).invoke(WEATHER).tool_calls
        equal((call["name"], call["args"]), ("get_weather", OSLO))


@check
def a_call_streams() -> None:
    whole: Any = None
    for piece in model().bind_tools([get_weather]).stream(WEATHER):
        whole = piece if whole is None else whole + piece
    [call] = whole.tool_calls
    equal((call["name"], call["args"]), ("get_weather", OSLO))


@check
def structured_output_by_json_schema() -> None:
    equal(model().with_structured_output(Person, method="json_schema").invoke(DESCRIBE), Person(**ANNA))


@check
def structured_output_by_function_calling() -> None:
    # The function is not one the model knows: the schema holds, and the model fills it as it can.
    found = model(max_tokens=96).with_structured_output(Person, method="function_calling").invoke(DESCRIBE)
    holds(isinstance(found, Person) and all(found.model_dump().values()), found)
    schema = {"title": "get_weather", "description": "Get the weather in a city.", **CITY_SCHEMA}
    equal(model().with_structured_output(schema, method="function_calling").invoke(WEATHER), OSLO)


@check
def structured_output_by_json_mode() -> None:
    equal(model().with_structured_output(None, method="json_mode").invoke(DESCRIBE), ANNA)


@check
def the_responses_api_can_be_used() -> None:
    answer = model(use_responses_api=True).invoke(FRANCE)
    equal(answer.text, PARIS)
    [call] = model(use_responses_api=True).bind_tools([get_weather]).invoke(WEATHER).tool_calls
    equal((call["name"], call["args"]), ("get_weather", OSLO))


def cosine(left: list[float], right: list[float]) -> float:
    """Of vectors of length 1."""
    return sum(a * b for a, b in zip(left, right, strict=True))


@check
def embeddings_of_queries_and_documents() -> None:
    # It would count tokens with OpenAI's own tokenizer, which is downloaded, and send those.
    embeddings = OpenAIEmbeddings(
        model=MODEL, base_url=f"{URL}/v1", api_key=ANY_KEY, check_embedding_ctx_length=False, max_retries=0
    )
    query = embeddings.embed_query("cat dog")
    same, other = embeddings.embed_documents(["cat dog", "red green blue"])
    holds(math.isclose(cosine(query, same), 1, abs_tol=1e-4), cosine(query, same))
    holds(cosine(query, other) < 0.999, cosine(query, other))


@check
def errors_are_openais() -> None:
    error: Any = raises(openai.BadRequestError, lambda: model(temperature=3).invoke(FRANCE))
    equal((error.status_code, error.param), (400, "temperature"))
