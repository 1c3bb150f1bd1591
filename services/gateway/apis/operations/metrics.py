"""GET /metrics, for Prometheus"""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import answers

router = APIRouter()


@router.get("/metrics", summary="Numbers for Prometheus", response_model=None, responses=answers("Text format."))
async def metrics(request: Request) -> Response:
    return Response(context_of(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
