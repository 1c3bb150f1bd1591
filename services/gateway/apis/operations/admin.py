"""GET /admin/services and POST /admin/services/KIND/ID/COMMAND: only where an admin key is configured."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.apis.operations.control import command as tell
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import answers
from xylem.shared.runtime.errors import InvalidRequest, NotFound

COMMANDS = ("ping", "check", "flush")

router = APIRouter(prefix="/admin")


@router.get("/services", summary="Every service that is alive", response_model=None, responses=answers("A list."))
async def services(request: Request) -> JSONResponse:
    peers = context_of(request).request_states.pipeline_health.known()
    listed = [
        {
            "kind": peer.kind,
            "id": peer.id,
            "state": peer.state,
            "epoch": peer.epoch,
            "running": peer.running,
            "waiting": peer.waiting,
            "free_pages": peer.free_pages,
            "total_pages": peer.total_pages,
        }
        for peer in sorted(peers, key=lambda peer: (peer.kind, peer.id))
    ]
    return JSONResponse({"object": "list", "data": listed})


@router.post(
    "/services/{kind}/{instance}/{command}",
    summary="ping, check (that its books balance) or flush (what it caches and does not use)",
    response_model=None,
    responses=answers("What the service says."),
)
async def control(request: Request, kind: str, instance: str, command: str) -> JSONResponse:
    context = context_of(request)
    if command not in COMMANDS:
        raise InvalidRequest(f"the commands are {', '.join(COMMANDS)}", param="command")
    if not any((peer.kind, peer.id) == (kind, instance) for peer in context.request_states.pipeline_health.known()):
        raise NotFound(f"there is no {kind[:40]} {instance[:80]}")
    ok, detail = await tell(context.bus, kind, instance, command)
    return JSONResponse({"ok": ok, "detail": detail}, 200 if ok else 502)
