"""From a body of /v1/chat/completions to the request that the pipeline gets."""

import msgspec

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.messages import read_messages
from xylem.services.gateway.generation.build_request import build_request, check_sequences
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.read_params import REST_OF_CONTEXT, max_tokens_of, read_params
from xylem.services.gateway.generation.seeds import choice_seeds, with_seed
from xylem.services.gateway.generation.served_model import ServedModel, check_model
from xylem.services.gateway.generation.tools import Tools, read_tools
from xylem.services.gateway.output_parsers import Family
from xylem.shared.protocol import Grammar, LogprobParams
from xylem.shared.runtime.errors import InvalidRequest

_encoder = msgspec.json.Encoder()


def chat_request(body: ChatBody, served: ServedModel) -> GenerationRequest:
    """Returns the request for a body of /v1/chat/completions. Raises InvalidRequest, NotFound."""
    check_model(body.model, served)
    params = read_params(body, served, max_tokens_of(body, body.max_completion_tokens, REST_OF_CONTEXT))
    stop_conditions, family = params.stop_conditions, served.family
    if stop_conditions.max_tokens == 0:
        raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
    messages = read_messages(body.messages)
    tools = read_tools(body.tools, body.tool_choice, parallel=body.parallel_tool_calls)
    separates = body.separate_reasoning and family.thinking_markers is not None
    parses = bool(tools.functions) or separates or family.format == "gpt_oss"
    if parses and family.needs_special:
        stop_conditions = msgspec.structs.replace(stop_conditions, keep_special=True)
    params = msgspec.structs.replace(
        params,
        stop_conditions=stop_conditions,
        grammar=_constrained(params.grammar, tools, family),
        logprobs=_logprob_params(body),
    )
    check_sequences(body.n, 1, served)
    seeds = choice_seeds(body.seed, n=body.n, num_prompts=1)
    request = build_request(body, served, [ChoiceSpec(with_seed(params, seed), messages=messages) for seed in seeds])
    request.template_arguments = _template_arguments(body)
    request.tools = _encoder.encode(tools.definitions) if tools.functions else b""
    request.shows_logprobs = body.logprobs
    request.names_tool = tools.name is not None
    if parses:
        request.make_parser = lambda prefix: tools.parser(family, thinking=separates, prefix=prefix)
    if parses or (params.grammar and params.grammar.after):
        request.answer_markers = family.answer_markers
    return request


def _template_arguments(body: ChatBody) -> bytes:
    """A JSON object of variables for the chat template."""
    arguments = dict(body.chat_template_kwargs)
    if body.add_generation_prompt is not None:
        arguments["add_generation_prompt"] = body.add_generation_prompt
    if body.continue_final_message:
        arguments["continue_final_message"] = True
    if body.documents not in (None, False):
        arguments["documents"] = body.documents
    if body.reasoning_effort is not None:
        arguments["reasoning_effort"] = body.reasoning_effort
    return _encoder.encode(arguments) if arguments else b""


def _constrained(grammar: Grammar | None, tools: Tools, family: Family) -> Grammar | None:
    """Has calls forced, or allowed beside a format, and what the model thinks left out of the grammar."""
    if tools.must:
        # Nothing but calls is said then, so that a format of what else is said is met. Instructor asks for both.
        if grammar is not None and not grammar.param.startswith("response_format"):
            raise InvalidRequest(f"tool_choice forbids what {grammar.param} asks for", param="tool_choice")
        grammar = tools.grammar(family)
    elif tools.functions:
        grammar = tools.strict_grammar(family) if grammar is None else tools.or_document(family, grammar)
    if grammar is not None and family.thinking_markers is not None:
        thinks = family.thinking_markers
        return msgspec.structs.replace(grammar, after=thinks.ending, opens=thinks.opening)
    return grammar


def _logprob_params(body: ChatBody) -> LogprobParams | None:
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return LogprobParams(num_top=body.top_logprobs or 0) if body.logprobs else None
