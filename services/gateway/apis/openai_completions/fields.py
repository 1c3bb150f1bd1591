"""The fields of a body of /v1/completions."""

from xylem.services.gateway.fields.basic_types import BooleanType, IntegerType
from xylem.services.gateway.fields.field import only, required, taken
from xylem.services.gateway.fields.field_types import Prompt, PromptsType
from xylem.services.gateway.fields.generation_fields import (
    HARMLESS,
    INT32_MAX,
    MAX_CHOICES,
    MAX_TOP,
    NOT_YET,
    GenerationBody,
)


class CompletionBody(GenerationBody):
    """A body of /v1/completions."""

    prompt: list[Prompt] = required(PromptsType(), "Text, token ids, or a list of either.", leads=True)
    max_completion_tokens: int | None = taken(
        IntegerType(0, INT32_MAX), about="Another name of max_tokens. Default: 16."
    )
    echo: bool = taken(BooleanType(), False, "The prompt comes before the answer.")
    logprobs: int | None = taken(
        IntegerType(0, MAX_TOP), about="How many likely tokens at each position; with echo the prompt's, too."
    )
    best_of: int | None = taken(
        IntegerType(1, MAX_CHOICES), about="Of so many the n likeliest (per token) are given; not in a stream."
    )
    add_special_tokens: bool = taken(BooleanType(), True, "false: the prompt's text is all that is read.")

    others = (*HARMLESS, *NOT_YET, only("suffix", ""), only("prompt_embeds"))
