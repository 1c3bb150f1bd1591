"""The fields of a body of /v1/messages."""

from xylem.services.gateway.fields.field import (
    AnyType,
    Field,
    IntegerType,
    ObjectType,
    Table,
    ignored,
    only,
    required,
    taken,
)
from xylem.services.gateway.fields.field_tables import GENERATION, INT32_MAX
from xylem.services.gateway.fields.field_types import Stops

# Fields of the chat body that have another name here, or no meaning.
_NOT_SHARED = {"model", "max_tokens", "stop", "response_format", "stream_options", "n", "stream"}

SAMPLING: list[Field] = [row for row in GENERATION if row.name not in _NOT_SHARED] + [
    taken("chat_template_kwargs", ObjectType(), {}, "Passed on to the chat template."),
]
_MODEL, _STREAM = (next(row for row in GENERATION if row.name == name) for name in ("model", "stream"))

# What goes into the chat body just as it came.
PASSED: tuple[str, ...] = ("model", *(row.name for row in SAMPLING))

# What the model reads: all that the number of tokens depends on.
_PROMPT: list[Field] = [
    _MODEL,
    required("messages", AnyType({"type": "array"}), "Roles user and assistant; text, tool_use, tool_result."),
    taken("system", AnyType({"type": ["string", "array"]}), about="A string, or a list of text blocks."),
    taken("tools", AnyType({"type": "array"}), about="Tools with a name and an input_schema."),
    taken("tool_choice", AnyType({"type": "object"}), about="Of type auto, any, tool or none."),
    taken("thinking", AnyType({"type": "object"}), about="enabled, adaptive or disabled; the budget is no limit."),
    taken("output_config", AnyType({"type": "object"}), about="effort, and a format of type json_schema."),
    *ignored("cache_control", "speed", "user_profile_id", "workspace_id"),
    only("context_management"),
    only("mcp_servers", []),
]

MESSAGES = Table(
    [
        *_PROMPT,
        required("max_tokens", IntegerType(1, INT32_MAX)),
        taken("stop_sequences", Stops(), ()),
        _STREAM,
        *SAMPLING,
        *ignored("metadata", "service_tier", "inference_geo", "diagnostics"),
        only("container"),
        only("thread"),
    ]
)

COUNT_TOKENS = Table([*_PROMPT, next(row for row in SAMPLING if row.name == "chat_template_kwargs")])
