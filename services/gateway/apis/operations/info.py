"""GET /model_info and /server_info, also as /get_model_info and /get_server_info, which older clients ask for."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.apis.operations.loads import loads
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.http.openapi import answers

router = APIRouter()

try:
    VERSION = version("xylem-serve")
except PackageNotFoundError:  # it runs from its sources
    VERSION = "unknown"

# No others: some hold passwords, or say where keys lie.
SHOWN_SETTINGS = (
    "model",
    "max_body_bytes",
    "max_open_requests",
    "max_open_requests_per_key",
    "request_timeout_s",
    "stall_timeout_s",
    "repair_s",
    "client_timeout_s",
)


def _model(context: Context) -> dict[str, object]:
    settings, card = context.settings, context.card
    return {
        "model_path": settings.model,
        "tokenizer_path": str(card.path),
        "served_model_name": context.served_model.model,
        "is_generation": True,
        "model_type": card.config.get("model_type"),
        "architectures": [card.architecture],
        "context_length": context.served_model.context_length,
        "vocab_size": card.vocab_size,
        "has_image_understanding": False,
        "has_audio_understanding": False,
        "preferred_sampling_params": None,
    }


@router.get("/get_model_info", include_in_schema=False, response_model=None)
@router.get("/model_info", summary="What the model is", response_model=None, responses=answers("An object."))
async def model_info(request: Request) -> JSONResponse:
    return JSONResponse(_model(context_of(request)))


@router.get("/get_server_info", include_in_schema=False, response_model=None)
@router.get(
    "/server_info",
    summary="The model, this gateway's settings, and who serves it",
    response_model=None,
    responses=answers("An object; internal_states has the load of each scheduler."),
)
async def server_info(request: Request) -> JSONResponse:
    context = context_of(request)
    pipeline_health = context.request_states.pipeline_health
    states = loads(pipeline_health)
    peers = sorted(pipeline_health.known(), key=lambda peer: (peer.kind, peer.id))
    return JSONResponse(
        {
            **_model(context),
            "version": VERSION,
            "settings": {name: getattr(context.settings, name) for name in SHOWN_SETTINGS},
            "max_total_num_tokens": sum(state["max_total_num_tokens"] for state in states),
            "services": [{"kind": peer.kind, "id": peer.id, "state": peer.state} for peer in peers],
            "internal_states": states or [{}],  # clients read the first one
        }
    )
