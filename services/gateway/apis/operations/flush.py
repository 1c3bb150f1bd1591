"""POST /flush_cache (GET, too, as older clients have it)"""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.apis.operations.control import command
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.http.openapi import answers
from xylem.shared.runtime.errors import Unavailable, XylemError

router = APIRouter()


@router.get("/flush_cache", include_in_schema=False, response_model=None)
@router.post(
    "/flush_cache",
    summary="All schedulers forget the cached prefixes that nobody uses",
    response_model=None,
    responses=answers("The pages that are free and still held then, by scheduler and executor."),
)
async def flush_cache(request: Request) -> JSONResponse:
    context = context_of(request)
    schedulers = [peer.id for peer in context.request_states.pipeline_health.known("scheduler")]
    if not schedulers:
        raise Unavailable("no live scheduler", retry_after_s=1.0)
    answered = await asyncio.gather(*(_flush(context, scheduler) for scheduler in schedulers))
    failed = [each["scheduler"] for each in answered if "error" in each]
    return JSONResponse({"success": not failed, "schedulers": answered}, 502 if failed else 200)


async def _flush(context: Context, scheduler: str) -> dict[str, object]:
    try:
        ok, detail = await command(context.bus, "scheduler", scheduler, "flush")
    except XylemError as error:
        return {"scheduler": scheduler, "error": error.message}
    if not ok:
        return {"scheduler": scheduler, "error": detail.get("error", "it could not")}
    executors = {
        name: {"free_pages": counts["free"], "total_pages": counts["total"]}
        for name, counts in detail["executors"].items()
    }
    return {"scheduler": scheduler, "executors": executors}
