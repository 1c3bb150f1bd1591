"""From a body of /v1/responses to a body of /v1/chat/completions."""

import logging

from xylem.services.gateway.apis.openai_responses.fields import PASSED, ResponsesBody
from xylem.services.gateway.apis.openai_responses.items import messages_of
from xylem.services.gateway.apis.openai_responses.schema import Item
from xylem.services.gateway.apis.openai_responses.tools import ResponseTools, chat_choice
from xylem.services.gateway.fields.error_field_names import ErrorFieldNames
from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

log = logging.getLogger(__name__)

LOGPROBS = "message.output_text.logprobs"
# What nobody has to do anything for: thoughts are not encrypted here, they are told in plain text.
INCLUDABLE = (LOGPROBS, "reasoning.encrypted_content")

NAMES = ErrorFieldNames(
    [
        (r"^messages\b.*", "input"),
        (r"^max_tokens$|^max_completion_tokens$", "max_output_tokens"),
        (r"^response_format(\.json_schema)?\b", "text.format"),
        (r"^reasoning_effort$", "reasoning.effort"),
        (r"^(tools\[\d+\]|tool_choice)\.function\b", r"\1"),
        (r"^tool_choice\.allowed_tools\b", "tool_choice"),
    ]
)


def chat_body(body: JsonObject, asked: ResponsesBody, items: list[Item]) -> JsonObject:
    """Returns the chat body for `body`, which has been read as `asked`; items: the whole conversation.

    Raises InvalidRequest.
    """
    chat: JsonObject = {name: body[name] for name in PASSED if body.get(name) is not None}
    chat["messages"] = [message.to_json() for message in messages_of(items, asked.instructions)]
    if asked.max_output_tokens is not None:
        chat["max_tokens"] = asked.max_output_tokens
    if shows_logprobs(asked):
        chat["logprobs"] = True
        chat["top_logprobs"] = asked.top_logprobs or 0
    if (form := _response_format(text_format(asked))) is not None:
        chat["response_format"] = form
    if (effort := reasoning_effort(asked)) is not None:
        chat["reasoning_effort"] = effort
    tools = ResponseTools.read(asked.tools)
    for kind in tools.left_out:
        log.warning("a tool of type %s was left out: it would have to be run here", kind)
    if tools.functions:
        chat["tools"] = tools.functions
    if asked.tool_choice is not None:
        chat["tool_choice"] = chat_choice(asked.tool_choice)
    return chat


def shows_logprobs(asked: ResponsesBody) -> bool:
    """Whether log probabilities are asked for. Raises InvalidRequest for what can't be included."""
    included = sequence("include", asked.include or [])
    for i, each in enumerate(included):
        if each not in INCLUDABLE:
            raise InvalidRequest(f"include[{i}] {str(each)[:80]!r} is not supported", param=f"include[{i}]")
    return LOGPROBS in included or bool(asked.top_logprobs)


def text_format(asked: ResponsesBody) -> JsonObject:
    """`text.format`, which the response repeats. Raises InvalidRequest."""
    options = mapping("text", asked.text or {})
    only_keys("text", options, ("format", "verbosity"))
    form = mapping("text.format", options.get("format") or {"type": "text"}, "an object with a type")
    if form.get("type") not in ("text", "json_object", "json_schema"):
        raise InvalidRequest(
            "text.format.type must be text, json_object or json_schema; other grammars are fields of the body",
            param="text.format.type",
        )
    return form


def _response_format(form: JsonObject) -> JsonObject | None:
    if form["type"] == "text":
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    only_keys("text.format", form, ("type", "name", "schema", "strict", "description"))
    return {"type": "json_schema", "json_schema": {key: value for key, value in form.items() if key != "type"}}


def reasoning_effort(asked: ResponsesBody) -> str | None:
    """Returns how hard to think. A summary may be asked for, since there is one shape for all servers: none is made."""
    reasoning = mapping("reasoning", asked.reasoning or {})
    only_keys("reasoning", reasoning, ("effort", "summary", "generate_summary", "context"))
    effort = reasoning.get("effort")
    return None if effort is None else text("reasoning.effort", effort)
