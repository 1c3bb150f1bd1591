"""The fields of /generate and of the sampling parameters in it, under SGLang's names."""

from xylem.services.gateway.apis.sglang_generate.field_types import AskedIds, Body, IdBatch, PerItem, TextBatch
from xylem.services.gateway.fields.field import (
    AnyIntegerType,
    AnyType,
    BooleanType,
    IntegerType,
    NumberType,
    Table,
    TextType,
    ignored,
    only,
    taken,
)
from xylem.services.gateway.fields.field_tables import INT32_MAX, MAX_CHOICES, MAX_TOP, MODEL
from xylem.services.gateway.fields.field_types import MAX_STOP_IDS, LogitBias, StopPatterns, Stops, TokenIds

DEFAULT_MAX_NEW_TOKENS = 128
MAX_TEMPERATURE = 1000.0

SAMPLING = Table(
    [
        taken(
            "max_new_tokens",
            IntegerType(0, INT32_MAX),
            DEFAULT_MAX_NEW_TOKENS,
            "0: the prompt is only read. null: the rest of the context.",
        ),
        taken("min_new_tokens", IntegerType(0, INT32_MAX), 0, "Before so many nothing stops the answer."),
        taken("temperature", NumberType(0, MAX_TEMPERATURE), 1.0, "0 always takes the likeliest token."),
        taken("top_p", NumberType(0, 1, above_low=True), 1.0),
        taken("top_k", IntegerType(-1, INT32_MAX), -1, "-1 and 0 mean the whole vocabulary."),
        taken("min_p", NumberType(0, 1), 0.0),
        taken("frequency_penalty", NumberType(-2, 2), 0.0),
        taken("presence_penalty", NumberType(-2, 2), 0.0),
        taken("repetition_penalty", NumberType(0.001, 2), 1.0),
        taken("stop", Stops(), ()),
        taken("stop_token_ids", TokenIds(MAX_STOP_IDS), b""),
        taken("stop_regex", StopPatterns(), (), "Regular expressions (of Python's regex module) that stop it, too."),
        taken("ignore_eos", BooleanType(), False),
        taken("skip_special_tokens", BooleanType(), True, "false: special tokens are part of the text."),
        taken("no_stop_trim", BooleanType(), False, "The stop string stays in the text."),
        taken("n", IntegerType(1, MAX_CHOICES), 1, "Answers to each prompt."),
        taken("json_schema", AnyType({"type": ["string", "object"]}), about="A JSON schema, also in a string."),
        taken("regex", AnyType({"type": "string"}), about="A regular expression that the whole output matches."),
        taken("ebnf", AnyType({"type": "string"}), about="A grammar in GBNF; its first rule is root."),
        taken("structural_tag", AnyType({"type": ["string", "object"]}), about="xgrammar's structural tag."),
        taken("logit_bias", LogitBias(), (b"", b""), "Token id to what is added to its logit, from -100 to 100."),
        taken(
            "sampling_seed", AnyIntegerType(), about="The same seed gives the same tokens; answer i of n uses seed + i."
        ),
        taken("seed", AnyIntegerType(), about="Another name of sampling_seed."),
        *ignored("stream_interval"),
        only("spaces_between_special_tokens", True),
        only("beam_width", 1),
        only("custom_params"),
        only("watermark"),
    ]
)

GENERATE = Table(
    [
        MODEL,
        taken("text", TextBatch(), about="A prompt, or a list of them."),
        taken("input_ids", IdBatch(), about="The same as token ids: a list, or a list of lists."),
        taken("sampling_params", PerItem(Body(SAMPLING)), about="One for all prompts, or one for each."),
        taken(
            "return_logprob",
            PerItem(BooleanType()),
            False,
            "Log probabilities of the output's tokens, and the prompt's.",
        ),
        taken(
            "logprob_start_len",
            PerItem(IntegerType(-1, INT32_MAX)),
            -1,
            "From this token of the prompt on they are given, too; -1: of the output only.",
        ),
        taken("top_logprobs_num", PerItem(IntegerType(0, MAX_TOP)), 0, "How many likely tokens at each position."),
        taken("token_ids_logprob", AskedIds(), b"", "Log probabilities of these tokens at each position."),
        taken("return_text_in_logprobs", BooleanType(), False, "What the tokens look like, instead of null."),
        taken("stream", BooleanType(), False),
        taken(
            "incremental_streaming_output",
            BooleanType(),
            False,
            "Events of a stream have what is new; without it each has all that there is so far.",
        ),
        taken("rid", PerItem(TextType()), about="A name for the answer, by which it can be aborted."),
        taken("cache_salt", TextType(), "", "Prefixes are shared in the cache only between requests of the same salt."),
        taken("extra_key", TextType(), "", "Another part of cache_salt."),
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
        only("priority", 0),
        only("routed_dp_rank"),
    ]
)
