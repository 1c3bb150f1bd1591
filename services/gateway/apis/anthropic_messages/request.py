"""From a body of /v1/messages to a body of /v1/chat/completions."""

from xylem.services.gateway.apis.anthropic_messages.blocks import read_messages, read_texts, without_header
from xylem.services.gateway.apis.anthropic_messages.context_edits import check_context_edits
from xylem.services.gateway.apis.anthropic_messages.fields import PASSED, MessagesBody, PromptBody
from xylem.services.gateway.apis.anthropic_messages.tools import read_tools, referenced_tools
from xylem.services.gateway.apis.openai_chat.chat_message import ChatMessage
from xylem.services.gateway.fields.basic_types import IntegerType
from xylem.services.gateway.fields.error_field_names import ErrorFieldNames
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, text

MIN_THINKING_TOKENS = 1024
CHOICES = {"auto": "auto", "any": "required", "none": "none"}

NAMES = ErrorFieldNames(
    [
        (r"^stop\b", "stop_sequences"),
        (r"^response_format(\.json_schema)?\b", "output_config.format"),
        (r"^reasoning_effort$", "output_config.effort"),
        (r"^tools(\[\d+\])\.function\.parameters\b", r"tools\1.input_schema"),
        (r"^(tools\[\d+\]|tool_choice)\.function\b", r"\1"),
        (r"^parallel_tool_calls$", "tool_choice.disable_parallel_tool_use"),
    ]
)


def chat_body(body: JsonObject, asked: PromptBody, *, keeps_header: bool = False) -> JsonObject:
    """Returns the chat body for `body`, which has been read as `asked`. Raises InvalidRequest.

    keeps_header: a system block that is a header of the client's own is read by the model as the others are.
    """
    chat = {name: body[name] for name in PASSED if body.get(name) is not None}
    messages = read_messages(asked.messages)
    if messages and messages[-1].role == "assistant" and not messages[-1].tool_calls:
        chat["continue_final_message"] = True
        chat["add_generation_prompt"] = False
    system = asked.system if keeps_header else without_header(asked.system)
    if system not in (None, []):
        messages.insert(0, ChatMessage("system", read_texts("system", system)))
    chat["messages"] = [message.to_json() for message in messages]
    for name, other in (("max_tokens", "max_tokens"), ("stop_sequences", "stop"), ("stream", "stream")):
        if body.get(name) is not None:
            chat[other] = body[name]
    chat |= _tool_choice(asked.tool_choice)
    if tools := read_tools(asked.tools, shown=referenced_tools(asked.messages), forced=_forced_name(asked.tool_choice)):
        chat["tools"] = [*tools]
    chat |= _output(_output_config(asked))
    check_context_edits(asked.context_management)
    thinks = _thinks(asked)
    if thinks is not None:
        given = mapping("chat_template_kwargs", chat.get("chat_template_kwargs", {}))
        chat["chat_template_kwargs"] = {"enable_thinking": thinks, **given}
    return chat


def _forced_name(value: Json) -> Json:
    return value.get("name") if type(value) is dict else None


def _tool_choice(value: Json) -> JsonObject:
    if value is None:
        return {}
    choice = mapping("tool_choice", value, "an object with a type")
    only_keys("tool_choice", choice, ("type", "name", "disable_parallel_tool_use"))
    kind = one_of("tool_choice.type", choice.get("type"), (*CHOICES, "tool"))
    if kind == "tool":
        name = text("tool_choice.name", choice.get("name"))
        chat: JsonObject = {"tool_choice": {"type": "function", "function": {"name": name}}}
    else:
        chat = {"tool_choice": CHOICES[kind]}
    if choice.get("disable_parallel_tool_use"):
        chat["parallel_tool_calls"] = False
    return chat


def _output_config(asked: PromptBody) -> JsonObject:
    """With the format under its older name, which SDKs have sent as a field of the body."""
    config = mapping("output_config", asked.output_config or {})
    if asked.output_format is None or config.get("format") is not None:
        return config
    return {**config, "format": asked.output_format}


def _output(config: JsonObject) -> JsonObject:
    only_keys("output_config", config, ("effort", "format"))
    chat: JsonObject = {}
    if config.get("effort") is not None:
        chat["reasoning_effort"] = text("output_config.effort", config["effort"])
    if config.get("format") is not None:
        form = mapping("output_config.format", config["format"], "an object with type and schema")
        only_keys("output_config.format", form, ("type", "schema"))
        one_of("output_config.format.type", form.get("type"), ("json_schema",))
        schema = mapping("output_config.format.schema", form.get("schema"), "a JSON schema")
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
    return chat


def _thinks(asked: PromptBody) -> bool | None:
    """Whether to think, for chat templates that know `enable_thinking`; None: as the model does by itself."""
    if asked.thinking is None:
        return None
    thinking = mapping("thinking", asked.thinking, "an object with a type")
    only_keys("thinking", thinking, ("type", "budget_tokens", "display"))
    kind = one_of("thinking.type", thinking.get("type"), ("enabled", "adaptive", "disabled"))
    if kind == "enabled":  # a target for models that are trained to have one; these aren't
        highest = (asked.max_tokens if isinstance(asked, MessagesBody) else 1 << 31) - 1
        IntegerType(MIN_THINKING_TOKENS, highest).read_value("thinking.budget_tokens", thinking.get("budget_tokens"))
    return kind != "disabled"
