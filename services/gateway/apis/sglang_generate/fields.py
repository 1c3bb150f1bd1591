"""The fields of /generate and of the sampling parameters in it, under SGLang's names."""

from xylem.services.gateway.apis.sglang_generate.field_types import (
    AskedIdsType,
    BodyType,
    IdBatchType,
    PerItemType,
    TextBatchType,
)
from xylem.services.gateway.fields.basic_types import (
    AnyIntegerType,
    AnyType,
    BooleanType,
    IntegerType,
    NumberType,
    TextType,
)
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import ignored, only, taken
from xylem.services.gateway.fields.field_types import MAX_STOP_IDS, Prompt, StopsType, TokenIdsType
from xylem.services.gateway.fields.generation_fields import (
    CACHE_SALT,
    EBNF,
    INT32_MAX,
    LOGIT_BIAS,
    MAX_CHOICES,
    MAX_TOP,
    MODEL,
    PRIORITY,
    REGEX,
    STOP_REGEX,
    STREAM,
    STRUCTURAL_TAG,
)
from xylem.services.gateway.fields.json_types import Json

DEFAULT_MAX_NEW_TOKENS = 128
MAX_TEMPERATURE = 1000.0


class SamplingBody(Body):
    """Sampling parameters of /generate."""

    max_new_tokens: int = taken(
        IntegerType(0, INT32_MAX),
        DEFAULT_MAX_NEW_TOKENS,
        "0: the prompt is only read. null: the rest of the context.",
    )
    min_new_tokens: int = taken(IntegerType(0, INT32_MAX), 0, "Before so many nothing stops the answer.")
    temperature: float = taken(NumberType(0, MAX_TEMPERATURE), 1.0, "0 always takes the likeliest token.")
    top_p: float = taken(NumberType(0, 1, above_low=True), 1.0)
    top_k: int = taken(IntegerType(-1, INT32_MAX), -1, "-1 and 0 mean the whole vocabulary.")
    min_p: float = taken(NumberType(0, 1), 0.0)
    frequency_penalty: float = taken(NumberType(-2, 2), 0.0)
    presence_penalty: float = taken(NumberType(-2, 2), 0.0)
    repetition_penalty: float = taken(NumberType(0.001, 2), 1.0)
    stop: tuple[str, ...] = taken(StopsType(), ())
    stop_token_ids: bytes = taken(TokenIdsType(MAX_STOP_IDS), b"")
    stop_regex: tuple[str, ...] = STOP_REGEX
    ignore_eos: bool = taken(BooleanType(), False)
    skip_special_tokens: bool = taken(BooleanType(), True, "false: special tokens are part of the text.")
    no_stop_trim: bool = taken(BooleanType(), False, "The stop string stays in the text.")
    n: int = taken(IntegerType(1, MAX_CHOICES), 1, "Answers to each prompt.")
    json_schema: Json = taken(AnyType({"type": ["string", "object"]}), about="A JSON schema, also in a string.")
    regex: Json = REGEX
    ebnf: Json = EBNF
    structural_tag: Json = STRUCTURAL_TAG
    logit_bias: tuple[bytes, bytes] = LOGIT_BIAS
    sampling_seed: int | None = taken(
        AnyIntegerType(), about="The same seed gives the same tokens; answer i of n uses seed + i."
    )
    seed: int | None = taken(AnyIntegerType(), about="Another name of sampling_seed.")

    others = (
        *ignored("stream_interval"),
        only("spaces_between_special_tokens", True),
        only("beam_width", 1),
        only("custom_params"),
        only("watermark"),
    )


GivenSampling = tuple[SamplingBody, frozenset[str]]  # with the names of the fields that were given as null


class GenerateBody(Body):
    """A body of /generate. What may differ between the prompts of a batch is one value, or a list with one for each."""

    model: str | None = MODEL
    text: tuple[list[Prompt], bool] | None = taken(TextBatchType(), about="A prompt, or a list of them.")
    input_ids: tuple[list[Prompt], bool] | None = taken(
        IdBatchType(), about="The same as token ids: a list, or a list of lists."
    )
    sampling_params: GivenSampling | list[GivenSampling] | None = taken(
        PerItemType(BodyType(SamplingBody)), about="One for all prompts, or one for each."
    )
    return_logprob: bool | list[bool] = taken(
        PerItemType(BooleanType()), False, "Log probabilities of the output's tokens, and the prompt's."
    )
    logprob_start_len: int | list[int] = taken(
        PerItemType(IntegerType(-1, INT32_MAX)),
        -1,
        "From this token of the prompt on they are given, too; -1: of the output only.",
    )
    top_logprobs_num: int | list[int] = taken(
        PerItemType(IntegerType(0, MAX_TOP)), 0, "How many likely tokens at each position."
    )
    token_ids_logprob: bytes | list[bytes] = taken(
        AskedIdsType(), b"", "Log probabilities of these tokens at each position."
    )
    return_text_in_logprobs: bool = taken(BooleanType(), False, "What the tokens look like, instead of null.")
    stream: bool = STREAM
    incremental_streaming_output: bool = taken(
        BooleanType(), False, "Events of a stream have what is new; without it each has all that there is so far."
    )
    rid: str | list[str] = taken(PerItemType(TextType()), "", "A name for the answer, by which it can be aborted.")
    cache_salt: str = CACHE_SALT
    priority: int = PRIORITY
    extra_key: str = taken(TextType(), "", "Another part of cache_salt.")

    others = (
        *ignored("log_metrics", "custom_labels", "routing_key", "bootstrap_host", "bootstrap_port", "bootstrap_room"),
        only("input_embeds"),
        only("image_data", []),
        only("video_data", []),
        only("audio_data", []),
        only("modalities", ["text"]),
        only("lora_path"),
        only("session_params"),
        only("custom_logit_processor"),
        only("return_hidden_states", False),
        only("return_routed_experts", False),
        only("return_entropy", False),
        only("return_bytes", False),
        only("max_thinking_tokens"),
        only("routed_dp_rank"),
    )
