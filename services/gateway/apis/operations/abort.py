"""POST /abort_request"""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.apis.operations.control import command
from xylem.services.gateway.apis.operations.fields import AbortBody
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import Context, context_of, key_of
from xylem.services.gateway.http.openapi import describe
from xylem.shared.runtime.errors import InvalidRequest, XylemError

router = APIRouter()


@router.post(
    "/abort_request",
    summary="Ends requests: their answers are what they have so far, with the finish reason abort",
    response_model=None,
    **describe(AbortBody, '{"aborted": how many sequences}; 0 when nothing of that name runs.'),
)
async def abort_request(request: Request) -> JSONResponse:
    context = context_of(request)
    body = AbortBody.read(await read_object(request))
    if not body.rid and not body.abort_all:
        raise InvalidRequest("give rid, or abort_all as true", param="rid")
    name = None if body.abort_all else body.rid
    key = key_of(request)
    tenant = key.name if key is not None else ""
    here = context.running.abort_named(name, tenant)
    others = [
        peer.id
        for peer in context.request_states.pipeline_health.known("gateway")
        if peer.id != context.settings.instance
    ]
    elsewhere = await asyncio.gather(*(_ask(context, gateway, name, tenant) for gateway in others))
    return JSONResponse({"aborted": here + sum(elsewhere)})


async def _ask(context: Context, gateway: str, name: str | None, tenant: str) -> int:
    """The request may have come to another gateway, which only load balancers know."""
    try:
        ok, detail = await command(context.bus, "gateway", gateway, "abort", name=name, tenant=tenant)
    except XylemError:
        return 0  # it is going, and so is what it runs
    return int(detail.get("aborted", 0)) if ok else 0
