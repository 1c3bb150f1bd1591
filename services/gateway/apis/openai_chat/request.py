"""From a body of /v1/chat/completions to the request that the pipeline gets."""

import msgspec

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.messages import read_messages
from xylem.services.gateway.generation.build_request import REST_OF_CONTEXT, build_request, max_tokens_of
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.sampling import choice_samplings
from xylem.services.gateway.generation.served_model import ServedModel, check_model
from xylem.services.gateway.generation.tools import Tools, read_tools
from xylem.services.gateway.output_parsers import Family
from xylem.shared.protocol import LogprobParams
from xylem.shared.runtime.errors import InvalidRequest

_encoder = msgspec.json.Encoder()


def chat_request(body: ChatBody, served: ServedModel) -> GenerationRequest:
    """Returns the request for a body of /v1/chat/completions. Raises InvalidRequest, NotFound."""
    check_model(body.model, served)
    request = build_request(body, served, max_tokens_of(body, body.max_completion_tokens, REST_OF_CONTEXT))
    if request.limits.max_tokens == 0:
        raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
    messages = read_messages(body.messages)
    request.template_arguments = _template_arguments(body)
    tools = read_tools(body.tools, body.tool_choice, parallel=body.parallel_tool_calls)
    request.tools = _encoder.encode(tools.definitions) if tools.functions else b""
    _constrain_output(request, body, tools, served.family)
    _parse_output(request, body, tools, served.family)
    request.scoring = _logprob_params(body)
    request.shows_logprobs = body.logprobs
    samplings = choice_samplings(body, served, n=body.n, num_prompts=1)
    request.choices = [ChoiceSpec(sampling=sampling, messages=messages) for sampling in samplings]
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


def _thinks(body: ChatBody, family: Family) -> bool:
    return family.thinking_markers is not None and body.chat_template_kwargs.get("enable_thinking") is not False


def _constrain_output(request: GenerationRequest, body: ChatBody, tools: Tools, family: Family) -> None:
    """Has calls forced, or allowed beside a format, and what the model thinks left out of the grammar."""
    if tools.must:
        # Nothing but calls is said then, so that a format of what else is said is met. Instructor asks for both.
        if request.grammar is not None and not request.grammar.param.startswith("response_format"):
            raise InvalidRequest(f"tool_choice forbids what {request.grammar.param} asks for", param="tool_choice")
        request.grammar = tools.grammar(family)
    elif tools.functions and request.grammar is not None:
        request.grammar = tools.or_document(family, request.grammar)
    if request.grammar is not None and family.thinking_markers is not None and _thinks(body, family):
        thinks = family.thinking_markers
        request.grammar = msgspec.structs.replace(request.grammar, after=thinks.ending, opens=thinks.opening)


def _parse_output(request: GenerationRequest, body: ChatBody, tools: Tools, family: Family) -> None:
    """Has the answer parsed as far as tools and thinking are wanted."""
    separates = body.separate_reasoning and _thinks(body, family)
    if not tools.functions and not separates and family.format != "gpt_oss":
        return
    request.make_parser = lambda: tools.parser(family, thinking=separates)
    if family.needs_special:
        request.limits = msgspec.structs.replace(request.limits, keep_special=True)


def _logprob_params(body: ChatBody) -> LogprobParams | None:
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs to be true", param="top_logprobs")
    return LogprobParams(num_top=body.top_logprobs or 0) if body.logprobs else None
