"""GET /health_generate"""

import asyncio
import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.generation.context import Context, context_of, key_of
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.session import GenerationSession
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.http.openapi import answers
from xylem.services.gateway.policy import GatewayPolicy
from xylem.shared.protocol import GenerationParams, SamplingParams, StopConditions
from xylem.shared.protocol.columns import pack
from xylem.shared.runtime.errors import Unavailable, XylemError

router = APIRouter()


@router.get(
    "/health_generate",
    summary="The model answers: a token has just gone through all stages",
    response_model=None,
    responses=answers(f"It does. 503 when no token came in {GatewayPolicy().health_timeout_s:g} s."),
)
async def health_generate(request: Request) -> JSONResponse:
    """Not limited by what else is open, nor counted for others: a busy system is a healthy one."""
    context = context_of(request)
    if missing := context.missing():
        raise Unavailable(f"no live {', '.join(missing)}", retry_after_s=1.0)
    key = key_of(request)
    timeout_s = context.policy.health_timeout_s
    begun_s = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            await _generate(request, context, key.name if key is not None else "")
    except TimeoutError:
        raise Unavailable(f"no token came in {timeout_s:g} s", retry_after_s=1.0) from None
    except XylemError as error:
        raise Unavailable(f"no token came: {error.message}", retry_after_s=1.0) from None
    return JSONResponse({"status": "healthy", "latency_s": time.perf_counter() - begun_s})


async def _generate(request: Request, context: Context, tenant: str) -> None:
    """One token, read to its end."""
    params = GenerationParams(
        sampling=SamplingParams(temperature=0.0),
        stop_conditions=StopConditions(max_tokens=1, ignore_eos=True),
        tenant=tenant,
    )
    generation = GenerationRequest(
        model=context.served_model.model,
        choices=[ChoiceSpec(params, prompt=pack([0]))],
        is_counted=False,
    )
    cursor = StreamCursor.of_new("health", seed=generation.base_seed, num_choices=1, tenant=tenant)
    session = GenerationSession(context, generation, cursor, request.headers.get("traceparent", ""))
    try:
        session.start_choices(request.receive, [])
        while not session.done:
            await session.take_deltas()
    except BaseException as error:
        session.mark_failed(error)
        raise
    finally:
        session.close()
