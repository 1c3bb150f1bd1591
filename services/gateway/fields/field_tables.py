"""The fields of every request body. To support a field: make its row `taken`, and read it in order.py."""

from xylem.services.gateway.fields.field import (
    AnyIntegerType,
    AnyType,
    BooleanType,
    Field,
    IntegerType,
    NumberType,
    ObjectType,
    Table,
    TextType,
    ignored,
    only,
    required,
    taken,
)
from xylem.services.gateway.fields.field_types import (
    MAX_STOP_IDS,
    LogitBias,
    Prompts,
    StopPatterns,
    Stops,
    StreamOptions,
    TokenIds,
)
from xylem.services.gateway.generation import structured_output as constraints

MAX_CHOICES = 128
MAX_TOP = 20
INT32_MAX = 2**31 - 1

MODEL = taken("model", TextType(), about="The served model's name; it may be left out.")

GENERATION: list[Field] = [
    MODEL,
    # What these five are when they are left out, generation_config.json may say.
    taken("temperature", NumberType(0, 2), about="0 always takes the likeliest token. Default: the model's own, or 1."),
    taken("top_p", NumberType(0, 1, above_low=True), about="Default: the model's own, or 1."),
    taken(
        "top_k", IntegerType(-1, INT32_MAX), about="-1 and 0 mean the whole vocabulary. Default: the model's own, or 0."
    ),
    taken("min_p", NumberType(0, 1), about="Default: the model's own, or 0."),
    taken("seed", AnyIntegerType(), about="The same seed gives the same tokens; choice i of n uses seed + i."),
    taken("max_tokens", IntegerType(0, INT32_MAX)),
    taken("min_tokens", IntegerType(0, INT32_MAX), 0, "Before so many nothing stops the answer."),
    taken("stop", Stops(), ()),
    taken("stop_regex", StopPatterns(), (), "Regular expressions (of Python's regex module) that stop it, too."),
    taken("no_stop_trim", BooleanType(), False, "The stop string stays in the text."),
    taken("include_stop_str_in_output", BooleanType(), False, "Another name of no_stop_trim."),
    taken("skip_special_tokens", BooleanType(), True, "false: special tokens are part of the text."),
    taken("frequency_penalty", NumberType(-2, 2), 0.0),
    taken("presence_penalty", NumberType(-2, 2), 0.0),
    taken("repetition_penalty", NumberType(0.001, 2), about="Default: the model's own, or 1."),
    taken("logit_bias", LogitBias(), (b"", b""), "Token id to what is added to its logit, from -100 to 100."),
    *constraints.FIELDS,
    taken("stop_token_ids", TokenIds(MAX_STOP_IDS), b""),
    taken("ignore_eos", BooleanType(), False),
    taken("stream", BooleanType(), False),
    taken("stream_options", StreamOptions(), None),
    taken("n", IntegerType(1, MAX_CHOICES), 1),
    taken("cache_salt", TextType(), "", "Prefixes are shared in the cache only between requests of the same salt."),
]

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
)

NOT_YET: list[Field] = [
    only("length_penalty", 1),
    only("prompt_logprobs", 0),
    only("return_tokens_as_token_ids", False),
    only("return_token_ids", False),
    only("guided_decoding_backend"),
    only("guided_whitespace_pattern"),
    only("spaces_between_special_tokens", True),
    only("truncate_prompt_tokens"),
    only("allowed_token_ids", []),
    only("bad_words", []),
    only("use_beam_search", False),
    only("early_stopping", False),
    only("beam_width", 1),
    only("priority", 0),
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

CHAT = Table(
    [
        required("messages", AnyType(), "Roles system, developer, user, assistant and tool; text only."),
        *GENERATION,
        taken("max_completion_tokens", IntegerType(0, INT32_MAX), about="Default: the rest of the context."),
        taken("logprobs", BooleanType(), False),
        taken(
            "top_logprobs", IntegerType(0, MAX_TOP), about="How many likely tokens at each position; needs logprobs."
        ),
        taken("chat_template_kwargs", ObjectType(), {}, "Passed on to the chat template."),
        taken("add_generation_prompt", BooleanType()),
        taken("continue_final_message", BooleanType(), False, "The answer goes on with the last message."),
        taken("documents", AnyType({"type": "array"}), about="Passed on to the chat template."),
        taken("reasoning_effort", TextType(), about="Passed on to the chat template."),
        *HARMLESS,
        taken("tools", AnyType({"type": "array"}), about="Functions that the model may call."),
        taken(
            "tool_choice",
            AnyType({"oneOf": [{"type": "string"}, {"type": "object"}]}),
            about='"none", "auto", "required", {"type": "function", "function": {"name": ...}} or allowed_tools.',
        ),
        taken("parallel_tool_calls", BooleanType(), True, "false: at most one call in an answer."),
        taken("separate_reasoning", BooleanType(), True, "false: what the model thinks stays in the text."),
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
    ]
)

COMPLETIONS = Table(
    [
        required("prompt", Prompts(), "Text, token ids, or a list of either."),
        *GENERATION,
        taken("max_completion_tokens", IntegerType(0, INT32_MAX), about="Another name of max_tokens. Default: 16."),
        taken("echo", BooleanType(), False, "The prompt comes before the answer."),
        taken(
            "logprobs",
            IntegerType(0, MAX_TOP),
            about="How many likely tokens at each position; with echo the prompt's, too.",
        ),
        taken(
            "best_of",
            IntegerType(1, MAX_CHOICES),
            about="Of so many the n likeliest (per token) are given; not in a stream.",
        ),
        taken("add_special_tokens", BooleanType(), True, "false: the prompt's text is all that is read."),
        *HARMLESS,
        *NOT_YET,
        only("suffix", ""),
        only("prompt_embeds"),
    ]
)

TOKENIZE = Table(
    [
        MODEL,
        taken("prompt", TextType()),
        taken("messages", AnyType()),
        taken("add_special_tokens", BooleanType()),
        taken("chat_template_kwargs", ObjectType(), {}),
        only("add_generation_prompt", True),
        only("continue_final_message", False),
        only("return_token_strs", False),
        only("chat_template"),
        only("tools", []),
        only("mm_processor_kwargs", {}),
    ]
)

DETOKENIZE = Table([MODEL, required("tokens", TokenIds())])
