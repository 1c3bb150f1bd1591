"""Every row of the tables: what is harmless goes through, what is not supported is named."""

import inspect
from typing import Any

import pytest

from xylem.services.gateway.apis.anthropic_messages.fields import MessagesBody
from xylem.services.gateway.apis.embeddings.fields import EmbeddingsBody
from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.apis.openai_responses.fields import ResponsesBody
from xylem.services.gateway.apis.operations.fields import DetokenizeBody, TokenizeBody
from xylem.services.gateway.apis.sglang_generate.fields import GenerateBody
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import Support
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong
from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.runtime.errors import InvalidRequest

CHAT_BODY: JsonObject = {"messages": [{"role": "user", "content": "x"}]}
COMPLETION_BODY: JsonObject = {"prompt": "x"}
TABLES = [(ChatBody, CHAT_BODY), (CompletionBody, COMPLETION_BODY)]


def rows(support: Support) -> list[Any]:
    return [
        pytest.param(table, body, row, id=f"{'chat' if table is ChatBody else 'completions'}-{row.name}")
        for table, body in TABLES
        for row in table.rows.values()
        if row.support is support
    ]


@pytest.mark.parametrize(("table", "body", "row"), rows(Support.IGNORED))
@pytest.mark.parametrize("value", ["text", 1, True, {"a": 1}, None])
def test_ignored_fields_pass(table: type[Body], body: dict[str, Any], row: Any, value: Any) -> None:
    assert not hasattr(table.read({**body, row.name: value}), row.name)


@pytest.mark.parametrize(("table", "body", "row"), rows(Support.NEUTRAL))
def test_neutral_values_pass_and_others_are_named(table: type[Body], body: dict[str, Any], row: Any) -> None:
    for value in (None, *row.neutral):
        table.read({**body, row.name: value})
    others: list[Json] = ["something else", 17, {"a": "b"}, [1]]
    for value in others:
        with pytest.raises(InvalidRequest, match=f"^{row.name} is not supported yet") as caught:
            table.read({**body, row.name: value})
        assert caught.value.param == row.name


@pytest.mark.parametrize(("table", "body", "row"), rows(Support.TAKEN))
def test_null_is_absent(table: type[Body], body: dict[str, Any], row: Any) -> None:
    if row.required:
        with pytest.raises(InvalidRequest, match=f"{row.name} is missing"):
            table.read({**body, row.name: None})
    else:
        assert table.read({**body, row.name: None}) == table.read(body)


WRONG: dict[str, list[Json]] = {
    "model": [1, []],
    "temperature": ["0.5", True, -0.1, 2.1, [], {}],
    "top_p": [0, 1.1, "1", False],
    "top_k": [-2, 1.0, "5", True, 2**31],
    "min_p": [-0.1, 1.5, "0"],
    "seed": ["1", 1.5, True],
    "max_tokens": [-1, "7", 7.0, True, 2**31],
    "max_completion_tokens": [-1, "7", 7.0],
    "min_tokens": [-1, "0"],
    "stop": [1, [1], ["a", None], "", [""], {}, ["x"] * 33, ["y" * 1025]],
    "stop_token_ids": ["1", 1, [-1], [1.0], [True], [2**31], [1] * 1025],
    "ignore_eos": [1, "true"],
    "priority": ["1", 1.5, True, 2**31],
    "stream": [1, "yes please"],
    "stream_options": [[], "x", {"include_usage": "yes"}, {"include_usages": True}],
    "n": [0, 129, "2", 1.0, True],
    "cache_salt": [1],
    "chat_template_kwargs": ["x", []],
    "echo": [1, "true"],
    "stop_regex": [1, [1], "", "(", ["a", "["], "x*", ["x"] * 33, "y" * 257],
    "no_stop_trim": [1, "true"],
    "include_stop_str_in_output": [1, "true"],
    "skip_special_tokens": [0, "false"],
    "frequency_penalty": [-2.1, 2.1, "1", False],
    "presence_penalty": [-2.1, 2.1, "1", False],
    "repetition_penalty": [0, 1e-9, -1, 2.1, "1", True],
    "logit_bias": [1, [1], {"a": 1}, {"-1": 1}, {"1": "1"}, {"1": 101}, {"1": None}, {str(2**31): 1}, {"²": 1}],
    "logprobs": ["5", -1, 1.5, 21, []],
    "top_logprobs": ["5", -1, 1.5, 21, True],
    "add_special_tokens": [1, "true"],
    "add_generation_prompt": [1, "true"],
    "continue_final_message": [1, "true"],
    "reasoning_effort": [1, []],
    "parallel_tool_calls": [1, "true"],
    "separate_reasoning": [1, "true"],
    "best_of": [0, "1", 129],
    "prompt": [1, [], {}, [1, "a"], ["a", 1], [[]], [[1], "a"], [1.0], [-1], [True], [[1], [None]]],
}


READ_ELSEWHERE = {"messages", "documents", "tools", "tool_choice", *inspect.signature(grammar_of).parameters}


@pytest.mark.parametrize(("table", "body", "row"), rows(Support.TAKEN))
def test_wrong_values_are_refused(table: type[Body], body: dict[str, Any], row: Any) -> None:
    for value in WRONG.get(row.name, []):
        with pytest.raises(InvalidRequest) as caught:
            table.read({**body, row.name: value})
        assert caught.value.param is not None
        assert caught.value.param.startswith(row.name)
    assert row.name in WRONG or row.name in READ_ELSEWHERE


def test_integers_do_for_numbers_and_nothing_else_is_coerced() -> None:
    assert ChatBody.read({**CHAT_BODY, "temperature": 1}).temperature == 1.0
    with pytest.raises(InvalidRequest, match="frequency_penalty"):
        ChatBody.read({**CHAT_BODY, "frequency_penalty": False})


def test_unknown_fields_get_a_hint() -> None:
    with pytest.raises(InvalidRequest, match="unknown field temprature; did you mean temperature") as caught:
        ChatBody.read({**CHAT_BODY, "temprature": 1})
    assert caught.value.param == "temprature"
    with pytest.raises(InvalidRequest, match=r"unknown field qqqq$"):
        TokenizeBody.read({"prompt": "x", "qqqq": 1})


NOTHING: list[Any] = [None, False, 0, 0.0, "", [], {}, [None, {}], {"a": None, "b": [{"c": False}]}]


@pytest.mark.parametrize("table", [ChatBody, CompletionBody, ResponsesBody, MessagesBody, GenerateBody, EmbeddingsBody])
@pytest.mark.parametrize("value", NOTHING)
def test_unknown_fields_that_ask_for_nothing_pass(table: type[Body], value: Any) -> None:
    needed: dict[str, Any] = {"messages": [], "prompt": "x", "input": "x", "max_tokens": 1}
    body = {name: needed[name] for name, row in table.rows.items() if row.required}
    assert table.read({**body, "some_new_thing": value}) == table.read(body)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperatur", 0), ("top_kk", 0), ("skip_special_token", False), ("separate_reasonings", False)],
)
def test_what_a_misspelt_field_asks_for_is_found_out(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"unknown field {name}; did you mean"):
        ChatBody.read({**CHAT_BODY, name: value})
    assert ChatBody.read({**CHAT_BODY, "strem": False}) == ChatBody.read(CHAT_BODY)  # it is what `stream` is by itself


@pytest.mark.parametrize(
    ("name", "value"),
    [("include_reasoning", False), ("stream_reasoning", False), ("length_penalty", 0), ("best_of", 0)],
)
def test_false_and_zero_ask_for_something_where_the_default_is_another(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=f"^{name} is not supported yet"):
        ChatBody.read({**CHAT_BODY, name: value})


def test_nested_options_that_ask_for_nothing_pass() -> None:
    options: dict[str, Any] = {"include_usage": True, "some_new_thing": {"a": False}}
    assert ChatBody.read({**CHAT_BODY, "stream_options": options}).stream_options.include_usage


def test_prompts_of_all_kinds() -> None:
    def prompts(value: Any) -> Any:
        return CompletionBody.read({"prompt": value}).prompt

    assert prompts("a") == ["a"]
    assert prompts(["a", "b"]) == ["a", "b"]
    assert prompts([1, 2]) == [b"\1\0\0\0\2\0\0\0"]
    assert prompts([[1], [2]]) == [b"\1\0\0\0", b"\2\0\0\0"]


def test_schemas_name_the_required_fields() -> None:
    for table, name in ((ChatBody, "messages"), (CompletionBody, "prompt"), (DetokenizeBody, "tokens")):
        schema = table.schema()
        assert schema["required"] == [name]
        assert type(schema["properties"]) is dict
        assert name in schema["properties"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        ("hot", "'hot'"),
        ("x" * 1000, "a string of 1000 characters"),
        ([1] * 1000, "a list of 1000"),
        ({"a": 1}, "an object"),
        (10**100, "so large a number"),
        (7.5, "7.5"),
    ],
)
def test_wrong_values_are_shown_shortly(value: Any, shown: str) -> None:
    assert wrong("temperature", "a number", value).message == f"temperature must be a number, not {shown}"
