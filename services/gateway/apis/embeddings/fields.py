"""The fields of the endpoints that work with vectors."""

from xylem.services.gateway.apis.embeddings.field_types import DocumentsType
from xylem.services.gateway.fields.basic_types import BooleanType, IntegerType, OneOfType, TextType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import ignored, only, required, taken
from xylem.services.gateway.fields.field_types import Prompt, PromptsType, TokenIdsType
from xylem.services.gateway.fields.generation_fields import CACHE_SALT, INT32_MAX, MODEL

MAX_LABELS = 1024


class VectorBody(Body):
    """A body that asks for the vectors of texts, or for what is made of them."""

    model: str | None = MODEL
    pooling: str = taken(
        OneOfType(("last", "mean")), "last", "The state after the prompt's last token, or the mean over all of them."
    )
    add_special_tokens: bool = taken(BooleanType(), True, "false: the texts are all that is read.")
    cache_salt: str = CACHE_SALT

    others = (
        *ignored("user"),
        only("truncate_prompt_tokens"),
        only("priority", 0),
        only("lora_path"),
        only("activation"),
        only("normalize", True),
    )


class EmbeddingsBody(VectorBody):
    """A body of /v1/embeddings."""

    input: list[Prompt] = required(PromptsType(), "Text, token ids, or a list of either.", leads=True)
    encoding_format: str = taken(OneOfType(("float", "base64")), "float", "base64: of little-endian float32.")
    dimensions: int | None = taken(IntegerType(1, INT32_MAX), about="Only so many numbers, scaled to length 1 again.")

    others = (only("image_data", []), only("rid"))


class ScoreBody(VectorBody):
    """A body of /v1/score."""

    text_1: list[Prompt] | None = taken(
        PromptsType(), about="One text, or as many as text_2: the score is the cosine of their vectors."
    )
    text_2: list[Prompt] | None = taken(PromptsType(), about="One text or several.")
    query: list[Prompt] | None = taken(PromptsType(), about="The beginning of each prompt, for label_token_ids.")
    items: list[Prompt] | None = taken(
        PromptsType(), about="What follows the query: one text or several, or token ids as the query."
    )
    label_token_ids: bytes | None = taken(
        TokenIdsType(MAX_LABELS), about="The tokens whose probabilities after it are wanted."
    )
    apply_softmax: bool = taken(BooleanType(), False, "Probabilities among the labels alone.")
    item_first: bool = taken(BooleanType(), False, "The items come before the query.")

    others = (only("temperature", 1), only("return_token_logprobs", False), only("return_pooled_hidden_states", False))


class RerankBody(VectorBody):
    """A body of /v1/rerank."""

    query: str = required(TextType(), leads=True)
    documents: list[str] = required(DocumentsType(), 'Texts, or objects {"text": ...}.', leads=True)
    top_n: int | None = taken(IntegerType(0, INT32_MAX), about="Only the best so many; 0 and null: all.")
    return_documents: bool = taken(BooleanType(), True, "With the text of each.")

    others = (only("instruct"), only("max_tokens_per_doc", 0))
