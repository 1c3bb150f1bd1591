"""GET /v1/loads"""

import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.apis.operations.loads import aggregate, loads
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import answers

router = APIRouter()


@router.get(
    "/v1/loads",
    summary="What runs and waits in each scheduler, and how full its memory is",
    response_model=None,
    responses=answers('{"loads": [...], "aggregate": {...}}'),
)
async def get_loads(request: Request) -> JSONResponse:
    found = loads(context_of(request).request_states.pipeline_health)
    return JSONResponse(
        {"timestamp": time.time(), "dp_rank_count": len(found), "loads": found, "aggregate": aggregate(found)}
    )
