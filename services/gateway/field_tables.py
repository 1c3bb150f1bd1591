"""The fields of every request body. To support a field: make its row `taken`, and read it in order.py."""

from services.gateway.fields import (
    AnyInteger,
    Anything,
    Field,
    Flag,
    Integer,
    Mapping,
    Number,
    Table,
    Text,
    ignored,
    only,
    required,
    taken,
)
from services.gateway.kinds import MAX_STOP_IDS, Prompts, Stops, StreamOptions, TokenIds

MAX_CHOICES = 128
INT32_MAX = 2**31 - 1

MODEL = taken("model", Text(), about="The served model's name; it may be left out.")

GENERATION: list[Field] = [
    MODEL,
    taken("temperature", Number(0, 2), 1.0, "0 always takes the likeliest token."),
    taken("top_p", Number(0, 1, above_low=True), 1.0),
    taken("top_k", Integer(-1, INT32_MAX), 0, "-1 and 0 mean the whole vocabulary."),
    taken("min_p", Number(0, 1), 0.0),
    taken("seed", AnyInteger(), about="The same seed gives the same tokens; choice i of n uses seed + i."),
    taken("max_tokens", Integer(0, INT32_MAX)),
    taken("min_tokens", Integer(0, INT32_MAX), 0, "Only together with ignore_eos and no stop."),
    taken("stop", Stops(), ()),
    taken("stop_token_ids", TokenIds(MAX_STOP_IDS), b""),
    taken("ignore_eos", Flag(), False),
    taken("stream", Flag(), False),
    taken("stream_options", StreamOptions(), None),
    taken("n", Integer(1, MAX_CHOICES), 1),
    taken("cache_salt", Text(), "", "Prefixes are shared in the cache only between requests of the same salt."),
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
    only("frequency_penalty", 0),
    only("presence_penalty", 0),
    only("repetition_penalty", 1),
    only("length_penalty", 1),
    only("logit_bias", {}),
    only("logprobs", False, 0),
    only("top_logprobs", 0),
    only("prompt_logprobs", 0),
    only("return_tokens_as_token_ids", False),
    only("return_token_ids", False),
    only("response_format", {"type": "text"}),
    only("regex"),
    only("ebnf"),
    only("json_schema"),
    only("structural_tag"),
    only("structured_outputs", {}),
    only("guided_json"),
    only("guided_regex"),
    only("guided_choice", []),
    only("guided_grammar"),
    only("guided_decoding_backend"),
    only("guided_whitespace_pattern"),
    only("stop_regex", []),
    only("no_stop_trim", False),
    only("include_stop_str_in_output", False),
    only("skip_special_tokens", True),
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
        required("messages", Anything(), "Roles system, developer, user, assistant and tool; text only."),
        *GENERATION,
        taken("max_completion_tokens", Integer(0, INT32_MAX), about="Default: the rest of the context."),
        taken("chat_template_kwargs", Mapping(), {}, "Passed on to the chat template."),
        *HARMLESS,
        *ignored("parallel_tool_calls"),  # without tools there is nothing to be parallel
        *NOT_YET,
        only("tools", []),
        only("tool_choice", "none", "auto"),
        only("functions", []),
        only("function_call", "none", "auto"),
        only("modalities", ["text"]),
        only("audio"),
        only("web_search_options"),
        only("moderation"),
        only("reasoning_effort"),
        only("reasoning"),
        only("thinking"),
        only("separate_reasoning", True),
        only("stream_reasoning", True),
        only("include_reasoning", True),
        only("echo", False),
        only("best_of", 1),
        only("add_generation_prompt", True),
        only("continue_final_message", False),
        only("add_special_tokens", False),
        only("chat_template"),
        only("documents", []),
        only("mm_processor_kwargs", {}),
        only("input_ids"),
    ]
)

COMPLETIONS = Table(
    [
        required("prompt", Prompts(), "Text, token ids, or a list of either."),
        *GENERATION,
        taken("max_completion_tokens", Integer(0, INT32_MAX), about="Another name of max_tokens. Default: 16."),
        taken("echo", Flag(), False, "The prompt comes before the answer."),
        taken("best_of", Integer(1, MAX_CHOICES), about="Must be n."),
        *HARMLESS,
        *NOT_YET,
        only("suffix", ""),
        only("add_special_tokens", True),
        only("prompt_embeds"),
    ]
)

TOKENIZE = Table(
    [
        MODEL,
        taken("prompt", Text()),
        taken("messages", Anything()),
        taken("add_special_tokens", Flag()),
        taken("chat_template_kwargs", Mapping(), {}),
        only("add_generation_prompt", True),
        only("continue_final_message", False),
        only("return_token_strs", False),
        only("chat_template"),
        only("tools", []),
        only("mm_processor_kwargs", {}),
    ]
)

DETOKENIZE = Table([MODEL, required("tokens", TokenIds())])
