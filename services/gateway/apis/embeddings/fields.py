"""The fields of the endpoints that work with vectors."""

from dataclasses import dataclass
from typing import Any

from xylem.services.gateway.fields.field import (
    BooleanType,
    Field,
    IntegerType,
    Table,
    TextType,
    ignored,
    only,
    required,
    taken,
    wrong,
)
from xylem.services.gateway.fields.field_tables import INT32_MAX, MODEL
from xylem.services.gateway.fields.field_types import Prompts, TokenIds
from xylem.shared.runtime.errors import InvalidRequest

MAX_LABELS = 1024


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}

    def read(self, name: str, value: Any) -> str:
        if type(value) is not str or value not in self.words:
            raise wrong(name, " or ".join(self.words), value)
        return value


@dataclass(frozen=True)
class Documents:
    """A list of texts, each as a string or as {"text": ...}. Reads to a list of strings."""

    @property
    def schema(self) -> dict[str, Any]:
        document = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        return {"type": "array", "minItems": 1, "items": {"oneOf": [{"type": "string"}, document]}}

    def read(self, name: str, value: Any) -> list[str]:
        if type(value) is not list:
            raise wrong(name, "a list of texts", value)
        if not value:
            raise InvalidRequest(f"{name} is empty", param=name)
        return [
            TextType().read(f"{name}[{i}]", item.get("text") if type(item) is dict else item)
            for i, item in enumerate(value)
        ]


POOLING = taken(
    "pooling",
    OneOf(("last", "mean")),
    "last",
    "The state after the prompt's last token, or the mean over all of them.",
)

COMMON: list[Field] = [
    MODEL,
    POOLING,
    taken("add_special_tokens", BooleanType(), True, "false: the texts are all that is read."),
    taken("cache_salt", TextType(), "", "Prefixes are shared in the cache only between requests of the same salt."),
    *ignored("user"),
    only("truncate_prompt_tokens"),
    only("priority", 0),
    only("lora_path"),
    only("activation"),
    only("normalize", True),
]

EMBEDDINGS = Table(
    [
        required("input", Prompts(), "Text, token ids, or a list of either."),
        *COMMON,
        taken("encoding_format", OneOf(("float", "base64")), "float", "base64: of little-endian float32."),
        taken("dimensions", IntegerType(1, INT32_MAX), about="Only so many numbers, scaled to length 1 again."),
        only("image_data", []),
        only("rid"),
    ]
)

SCORE = Table(
    [
        *COMMON,
        taken("text_1", Prompts(), about="One text, or as many as text_2: the score is the cosine of their vectors."),
        taken("text_2", Prompts(), about="One text or several."),
        taken("query", Prompts(), about="The beginning of each prompt, for label_token_ids."),
        taken("items", Prompts(), about="What follows the query: one text or several, or token ids as the query."),
        taken("label_token_ids", TokenIds(MAX_LABELS), about="The tokens whose probabilities after it are wanted."),
        taken("apply_softmax", BooleanType(), False, "Probabilities among the labels alone."),
        taken("item_first", BooleanType(), False, "The items come before the query."),
        only("temperature", 1),
        only("return_token_logprobs", False),
        only("return_pooled_hidden_states", False),
    ]
)

RERANK = Table(
    [
        required("query", TextType()),
        required("documents", Documents(), 'Texts, or objects {"text": ...}.'),
        *COMMON,
        taken("top_n", IntegerType(0, INT32_MAX), about="Only the best so many; 0 and null: all."),
        taken("return_documents", BooleanType(), True, "With the text of each."),
        only("instruct"),
        only("max_tokens_per_doc", 0),
    ]
)
