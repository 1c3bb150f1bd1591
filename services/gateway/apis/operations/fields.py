"""The fields of bodies of /tokenize, /detokenize and /abort_request."""

from xylem.services.gateway.fields.basic_types import AnyType, BooleanType, ObjectType, TextType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import ignored, only, required, taken
from xylem.services.gateway.fields.field_types import TokenIdsType
from xylem.services.gateway.fields.generation_fields import MODEL
from xylem.services.gateway.fields.json_types import Json, JsonObject


class TokenizeBody(Body):
    """A body of /tokenize."""

    model: str | None = MODEL
    prompt: str | None = taken(TextType())
    messages: Json = taken(AnyType())
    add_special_tokens: bool | None = taken(BooleanType())
    chat_template_kwargs: JsonObject = taken(ObjectType(), {})

    others = (
        only("add_generation_prompt", True),
        only("continue_final_message", False),
        only("return_token_strs", False),
        only("chat_template"),
        only("tools", []),
        only("mm_processor_kwargs", {}),
    )


class DetokenizeBody(Body):
    """A body of /detokenize."""

    model: str | None = MODEL
    tokens: bytes = required(TokenIdsType())


class AbortBody(Body):
    """A body of /abort_request."""

    rid: str | None = taken(TextType(), about="The rid of a /generate request, or the id of any answer.")
    abort_all: bool = taken(BooleanType(), False, "Everything that this key has asked for and that still runs.")

    others = ignored("abort_message")
