"""GET /health (this process is alive) and /ready (the model can be served)."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.errors import problem
from xylem.services.gateway.http.openapi import answers
from xylem.shared.runtime.errors import Unavailable

router = APIRouter()


@router.get("/health", summary="The gateway is alive", response_model=None, responses=answers("It is."))
async def health() -> JSONResponse:
    return JSONResponse({"status": "alive"})


@router.get("/ready", summary="Every stage of the model is alive", response_model=None, responses=answers("They are."))
async def ready(request: Request) -> JSONResponse:
    context = context_of(request)
    missing = context.missing()
    trouble = context.store_trouble()
    not_stored = {"responses_not_stored": trouble} if trouble else {}
    if not missing:
        return JSONResponse({"status": "ready"} | not_stored)
    refused = context.request_states.pipeline_health.refused()
    reason = "; ".join([f"no live {', '.join(missing)}", *refused])
    body = {**problem(Unavailable(reason)), "missing": missing} | ({"refused": refused} if refused else {}) | not_stored
    return JSONResponse(body, 503, {"retry-after": "1"})
