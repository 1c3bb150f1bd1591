"""POST /v1/completions"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.openai_completions.fields import CompletionBody
from xylem.services.gateway.apis.openai_completions.request import completion_request
from xylem.services.gateway.apis.openai_completions.response import CompletionResponseWriter
from xylem.services.gateway.fields.field_types import Prompt
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.tokenize_client import text_of, tokens_of
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond
from xylem.shared.protocol import Tokenize
from xylem.shared.protocol.columns import count

router = APIRouter()


@router.post(
    "/v1/completions",
    summary="The text that follows a prompt",
    response_model=None,
    **describe(CompletionBody, "A text_completion object, or with stream=true its chunks as server-sent events."),
)
async def completions(request: Request) -> Response:
    context = context_of(request)
    body = CompletionBody.read(await read_object(request))
    generation = completion_request(body, context.served_model)
    if generation.echo:
        context.admit(len(generation.choices))
        await _prepare_echo(context, generation)
    echoes = [generation.prompt_texts[choice.prompt_index] for choice in generation.choices] if generation.echo else []
    return await respond(
        request, context, generation, "cmpl", lambda head: CompletionResponseWriter(head, echoes, body.logprobs)
    )


async def _prepare_echo(context: Context, generation: GenerationRequest) -> None:
    generation.prompt_texts = [await _text(context, prompt) for prompt in generation.prompts]
    if generation.only_echoes:  # nothing will run that could count them
        generation.prompt_counts = [await _count(context, prompt) for prompt in generation.prompts]


async def _text(context: Context, prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else await text_of(context, prompt)


async def _count(context: Context, prompt: Prompt) -> int:
    return count(prompt if isinstance(prompt, bytes) else await tokens_of(context, Tokenize(prompt=prompt)))
