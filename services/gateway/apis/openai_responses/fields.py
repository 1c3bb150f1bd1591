"""The fields of a body of /v1/responses."""

from xylem.services.gateway.fields.field import (
    AnyType,
    BooleanType,
    Field,
    IntegerType,
    ObjectType,
    Table,
    TextType,
    ignored,
    only,
    required,
    taken,
)
from xylem.services.gateway.fields.field_tables import GENERATION, INT32_MAX, MAX_TOP

# Fields of the chat body that have another name here, or no meaning.
_NOT_SHARED = {"max_tokens", "response_format", "stream_options", "n"}

SHARED: list[Field] = [row for row in GENERATION if row.name not in _NOT_SHARED] + [
    taken("chat_template_kwargs", ObjectType(), {}, "Passed on to the chat template."),
]

# What goes into the chat body just as it came.
PASSED: tuple[str, ...] = (
    *(row.name for row in SHARED if row.name != "stream"),
    "parallel_tool_calls",
)

RESPONSES = Table(
    [
        required("input", AnyType({"type": ["string", "array"]}), "Text, or a list of items; text only."),
        taken(
            "instructions", TextType(), about="A system message before everything else; later responses don't keep it."
        ),
        taken("previous_response_id", TextType(), about="A kept response that the conversation goes on from."),
        taken("max_output_tokens", IntegerType(1, INT32_MAX), about="Default: the rest of the context."),
        taken("top_logprobs", IntegerType(0, MAX_TOP), about="How many likely tokens at each position."),
        taken("include", AnyType({"type": "array"}), about="message.output_text.logprobs adds log probabilities."),
        taken("text", AnyType({"type": "object"}), about="format: text, json_object or json_schema."),
        taken("tools", AnyType({"type": "array"}), about="Tools of type function."),
        taken("tool_choice", AnyType({"type": ["string", "object"]}), about="none, auto, required, or a function."),
        taken("parallel_tool_calls", BooleanType(), True),
        taken("reasoning", AnyType({"type": "object"}), about="effort is passed on to the chat template."),
        taken("store", BooleanType(), True, "Whether it can be retrieved and continued afterwards."),
        taken("background", BooleanType(), False, "It is answered at once, and made whether or not anybody listens."),
        taken("metadata", AnyType({"type": "object"}), about="Strings, which come back in the response."),
        taken("stream_options", AnyType({"type": "object"}), about="include_obfuscation changes nothing."),
        *SHARED,
        only("truncation", "disabled"),
        only("conversation"),
        only("prompt"),
        only("max_tool_calls"),
        only("context_management"),
        only("moderation"),
        *ignored(
            "user",
            "service_tier",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "prompt_cache_options",
        ),
    ]
)
