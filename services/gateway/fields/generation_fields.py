"""The fields that bodies of chat completions and of completions share."""

from xylem.services.gateway.fields.basic_types import (
    AnyIntegerType,
    AnyType,
    BooleanType,
    IntegerType,
    NumberType,
    ObjectType,
    TextType,
)
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import Field, ignored, only, taken
from xylem.services.gateway.fields.field_types import (
    MAX_STOP_IDS,
    LogitBiasType,
    StopPatternsType,
    StopsType,
    StreamOptions,
    StreamOptionsType,
    TokenIdsType,
)
from xylem.services.gateway.fields.json_types import Json

MAX_CHOICES = 128
MAX_TOP = 20
INT32_MAX = 2**31 - 1

MODEL = taken(TextType(), about="The served model's name; it may be left out.")
CACHE_SALT = taken(TextType(), "", "Prefixes are shared in the cache only between requests of the same salt.")
CHAT_TEMPLATE_KWARGS = taken(ObjectType(), {}, "Passed on to the chat template.")
PRIORITY = taken(
    IntegerType(-INT32_MAX, INT32_MAX), 0, "Lower goes first, and is preempted last; an API key has a bound for it."
)
STREAM = taken(BooleanType(), False)
STOP_REGEX = taken(StopPatternsType(), (), "Regular expressions (of Python's regex module) that stop it, too.")
LOGIT_BIAS = taken(LogitBiasType(), (b"", b""), "Token id to what is added to its logit, from -100 to 100.")
REGEX = taken(AnyType({"type": "string"}), about="A regular expression that the whole output matches.")
EBNF = taken(AnyType({"type": "string"}), about="A grammar in GBNF; its first rule is root.")
STRUCTURAL_TAG = taken(AnyType({"type": ["string", "object"]}), about="xgrammar's structural tag.")


class GenerationBody(Body):
    """A body that asks for generated text."""

    model: str | None = MODEL
    # What these five are when they are left out, generation_config.json may say.
    temperature: float | None = taken(
        NumberType(0, 2), about="0 always takes the likeliest token. Default: the model's own, or 1."
    )
    top_p: float | None = taken(NumberType(0, 1, above_low=True), about="Default: the model's own, or 1.")
    top_k: int | None = taken(
        IntegerType(-1, INT32_MAX), about="-1 and 0 mean the whole vocabulary. Default: the model's own, or 0."
    )
    min_p: float | None = taken(NumberType(0, 1), about="Default: the model's own, or 0.")
    seed: int | None = taken(
        AnyIntegerType(), about="The same seed gives the same tokens; choice i of n uses seed + i."
    )
    max_tokens: int | None = taken(IntegerType(0, INT32_MAX))
    min_tokens: int = taken(IntegerType(0, INT32_MAX), 0, "Before so many nothing stops the answer.")
    stop: tuple[str, ...] = taken(StopsType(), ())
    stop_regex: tuple[str, ...] = STOP_REGEX
    no_stop_trim: bool = taken(BooleanType(), False, "The stop string stays in the text.")
    include_stop_str_in_output: bool = taken(BooleanType(), False, "Another name of no_stop_trim.")
    skip_special_tokens: bool = taken(BooleanType(), True, "false: special tokens are part of the text.")
    frequency_penalty: float = taken(NumberType(-2, 2), 0.0)
    presence_penalty: float = taken(NumberType(-2, 2), 0.0)
    repetition_penalty: float | None = taken(NumberType(0.001, 2), about="Default: the model's own, or 1.")
    logit_bias: tuple[bytes, bytes] = LOGIT_BIAS
    response_format: Json = taken(
        AnyType({"type": "object"}),
        about='{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": ...}},'
        ' {"type": "regex", "pattern": ...} or a structural tag.',
    )
    json_schema: Json = taken(
        AnyType({"type": ["string", "object"]}), about="A JSON schema, as an object or in a string."
    )
    regex: Json = REGEX
    ebnf: Json = EBNF
    structural_tag: Json = STRUCTURAL_TAG
    structured_outputs: Json = taken(
        AnyType({"type": "object"}), about="vLLM's form: json, regex, choice, grammar, ..."
    )
    guided_json: Json = taken(AnyType(), about="vLLM's older form of structured_outputs.json.")
    guided_regex: Json = taken(AnyType(), about="vLLM's older form of structured_outputs.regex.")
    guided_choice: Json = taken(AnyType(), about="vLLM's older form of structured_outputs.choice.")
    guided_grammar: Json = taken(AnyType(), about="vLLM's older form of structured_outputs.grammar.")
    stop_token_ids: bytes = taken(TokenIdsType(MAX_STOP_IDS), b"")
    ignore_eos: bool = taken(BooleanType(), False)
    stream: bool = STREAM
    stream_options: StreamOptions = taken(StreamOptionsType(), StreamOptions())
    n: int = taken(IntegerType(1, MAX_CHOICES), 1)
    cache_salt: str = CACHE_SALT
    priority: int = PRIORITY


HARMLESS: list[Field] = ignored(
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "verbosity",
    "prediction",
    "guided_decoding_backend",
    "client_metadata",
    "cache_control",
    "request_id",
    "tags",
    "caching",
    "cache_prompt",
)

NOT_YET: list[Field] = [
    only("length_penalty", 1),
    only("prompt_logprobs", 0),
    only("return_tokens_as_token_ids", False),
    only("return_token_ids", False),
    only("guided_whitespace_pattern"),
    only("spaces_between_special_tokens", True),
    only("truncate_prompt_tokens"),
    only("allowed_token_ids", []),
    only("bad_words", []),
    only("use_beam_search", False),
    only("early_stopping", False),
    only("beam_width", 1),
    only("lora_path"),
    only("session_params"),
    only("custom_logit_processor"),
    only("custom_params"),
    only("return_hidden_states", False),
    only("return_routed_experts", False),
    only("return_meta_info", False),
    only("return_cached_tokens_details", False),
    only("return_prompt_token_ids", False),
    only("logits_processors", []),
    only("thinking_token_budget"),
]
