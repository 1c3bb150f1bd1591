"""The fields of bodies of /v1/messages and /v1/messages/count_tokens."""

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.fields.basic_types import AnyType, IntegerType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import ignored, only, passed, required, taken
from xylem.services.gateway.fields.field_types import StopsType
from xylem.services.gateway.fields.generation_fields import INT32_MAX, MODEL, STREAM, GenerationBody
from xylem.services.gateway.fields.json_types import Json

# Fields of the chat body that have another name here, or no meaning.
_NOT_SHARED = ("model", "max_tokens", "stop", "response_format", "stream_options", "n", "stream")

SHARED = (*(name for name in GenerationBody.rows if name not in _NOT_SHARED), "chat_template_kwargs")

# What goes into the chat body just as it came.
PASSED = ("model", *SHARED)


class PromptBody(Body):
    """Holds what the model reads: all that the number of tokens depends on."""

    model: str | None = MODEL
    messages: Json = required(AnyType({"type": "array"}), "Roles user and assistant; text, tool_use, tool_result.")
    system: Json = taken(AnyType({"type": ["string", "array"]}), about="A string, or a list of text blocks.")
    tools: Json = taken(AnyType({"type": "array"}), about="Tools with a name and an input_schema.")
    tool_choice: Json = taken(AnyType({"type": "object"}), about="Of type auto, any, tool or none.")
    thinking: Json = taken(AnyType({"type": "object"}), about="enabled, adaptive or disabled; the budget is no limit.")
    output_config: Json = taken(AnyType({"type": "object"}), about="effort, and a format of type json_schema.")
    output_format: Json = taken(AnyType({"type": "object"}), about="An older name of output_config.format.")
    context_management: Json = taken(
        AnyType({"type": "object"}), about="Edits that clear nothing, such as clear_thinking with keep all."
    )

    others = (
        *ignored("cache_control", "speed", "user_profile_id", "workspace_id", "betas"),
        only("mcp_servers", []),
    )


class MessagesBody(PromptBody):
    """A body of /v1/messages."""

    max_tokens: int = required(IntegerType(1, INT32_MAX))
    stop_sequences: tuple[str, ...] = taken(StopsType(), ())
    stream: bool = STREAM

    others = (
        *passed(ChatBody.rows[name] for name in SHARED),
        *ignored("metadata", "service_tier", "inference_geo", "diagnostics", "client_metadata"),
        only("container"),
        only("thread"),
    )


class CountTokensBody(PromptBody):
    """A body of /v1/messages/count_tokens."""

    others = tuple(passed([ChatBody.rows["chat_template_kwargs"]]))
