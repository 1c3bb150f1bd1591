"""The fields of a body of /v1/responses."""

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.fields.basic_types import AnyType, BooleanType, IntegerType, OneOfType, TextType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import ignored, only, passed, required, taken
from xylem.services.gateway.fields.generation_fields import INT32_MAX, MAX_TOP, GenerationBody
from xylem.services.gateway.fields.json_types import Json

# Fields of the chat body that have another name here, or no meaning.
_NOT_SHARED = ("max_tokens", "response_format", "stream_options", "n")

SHARED = (*(name for name in GenerationBody.rows if name not in _NOT_SHARED), "chat_template_kwargs")

# What goes into the chat body just as it came.
PASSED = (*(name for name in SHARED if name != "stream"), "parallel_tool_calls")


class ResponsesBody(Body):
    """A body of /v1/responses."""

    input: Json = required(AnyType({"type": ["string", "array"]}), "Text, or a list of items; text only.")
    instructions: str | None = taken(
        TextType(), about="A system message before everything else; later responses don't keep it."
    )
    previous_response_id: str | None = taken(TextType(), about="A kept response that the conversation goes on from.")
    max_output_tokens: int | None = taken(IntegerType(1, INT32_MAX), about="Default: the rest of the context.")
    top_logprobs: int | None = taken(IntegerType(0, MAX_TOP), about="How many likely tokens at each position.")
    include: Json = taken(AnyType({"type": "array"}), about="message.output_text.logprobs adds log probabilities.")
    text: Json = taken(AnyType({"type": "object"}), about="format: text, json_object or json_schema.")
    tools: Json = taken(
        AnyType({"type": "array"}), about="Of type function, custom or namespace; hosted tools are left out."
    )
    tool_choice: Json = taken(
        AnyType({"type": ["string", "object"]}), about="none, auto, required, a tool, or allowed_tools."
    )
    parallel_tool_calls: bool = taken(BooleanType(), True)
    reasoning: Json = taken(AnyType({"type": "object"}), about="effort is passed on to the chat template.")
    store: bool = taken(BooleanType(), True, "Whether it can be retrieved and continued afterwards.")
    background: bool = taken(BooleanType(), False, "It is answered at once, and made whether or not anybody listens.")
    metadata: Json = taken(AnyType({"type": "object"}), about="Strings, which come back in the response.")
    truncation: str = taken(
        OneOfType(("disabled", "auto")), "disabled", "auto is taken, but what does not fit is an error all the same."
    )
    stream_options: Json = taken(AnyType({"type": "object"}), about="include_obfuscation changes nothing.")

    others = (
        *passed(ChatBody.rows[name] for name in SHARED),
        only("conversation"),
        only("prompt"),
        only("max_tool_calls"),
        only("context_management"),
        only("moderation"),
        *ignored(
            "user",
            "client_metadata",
            "service_tier",
            "safety_identifier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "prompt_cache_options",
        ),
    )
