"""The fields of a body of /v1/chat/completions."""

from xylem.services.gateway.fields.basic_types import AnyType, BooleanType, IntegerType, TextType
from xylem.services.gateway.fields.field import only, required, taken
from xylem.services.gateway.fields.generation_fields import (
    CHAT_TEMPLATE_KWARGS,
    HARMLESS,
    INT32_MAX,
    MAX_TOP,
    NOT_YET,
    GenerationBody,
)
from xylem.services.gateway.fields.json_types import Json, JsonObject


class ChatBody(GenerationBody):
    """A body of /v1/chat/completions."""

    messages: Json = required(AnyType(), "Roles system, developer, user, assistant and tool; text only.", leads=True)
    max_completion_tokens: int | None = taken(IntegerType(0, INT32_MAX), about="Default: the rest of the context.")
    logprobs: bool = taken(BooleanType(), False)
    top_logprobs: int | None = taken(
        IntegerType(0, MAX_TOP), about="How many likely tokens at each position; needs logprobs."
    )
    chat_template_kwargs: JsonObject = CHAT_TEMPLATE_KWARGS
    add_generation_prompt: bool | None = taken(BooleanType())
    continue_final_message: bool = taken(BooleanType(), False, "The answer goes on with the last message.")
    documents: Json = taken(AnyType({"type": "array"}), about="Passed on to the chat template.")
    reasoning_effort: str | None = taken(TextType(), about="Passed on to the chat template.")
    tools: Json = taken(AnyType({"type": "array"}), about="Functions that the model may call.")
    tool_choice: Json = taken(
        AnyType({"oneOf": [{"type": "string"}, {"type": "object"}]}),
        about='"none", "auto", "required", {"type": "function", "function": {"name": ...}} or allowed_tools.',
    )
    parallel_tool_calls: bool = taken(BooleanType(), True, "false: at most one call in an answer.")
    separate_reasoning: bool = taken(BooleanType(), True, "false: what the model thinks stays in the text.")

    others = (
        *HARMLESS,
        *NOT_YET,
        only("functions", []),
        only("function_call", "none", "auto"),
        only("modalities", ["text"]),
        only("audio"),
        only("web_search_options"),
        only("moderation"),
        only("reasoning"),
        only("thinking"),
        only("stream_reasoning", True),
        only("include_reasoning", True),
        only("echo", False),
        only("best_of", 1),
        only("add_special_tokens", False),
        only("chat_template"),
        only("mm_processor_kwargs", {}),
        only("input_ids"),
    )
