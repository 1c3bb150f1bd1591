"""GET /v1/models and /v1/models/{id}"""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.http.openapi import answers

router = APIRouter()


def _card(context: Context) -> JsonObject:
    """OpenAI's card, with vLLM's and SGLang's fields, and Anthropic's, whose names differ."""
    model, context_length = context.served_model.model, context.served_model.context_length
    return {
        "id": model,
        "object": "model",
        "created": context.created,
        "owned_by": "xylem",
        "root": context.settings.model,
        "parent": None,
        "max_model_len": context_length,
        "type": "model",
        "display_name": model,
        "created_at": datetime.fromtimestamp(context.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "max_input_tokens": context_length,
        "max_tokens": context_length,
    }


@router.get(
    "/v1/models", summary="The models that are served", response_model=None, responses=answers("A list of models.")
)
async def list_models(request: Request) -> JSONResponse:
    card = _card(context_of(request))
    pages: JsonObject = {"first_id": card["id"], "last_id": card["id"], "has_more": False}  # Anthropic's
    return JSONResponse({"object": "list", "data": [card], **pages})


@router.get("/v1/models/{model:path}", summary="One model", response_model=None, responses=answers("A model."))
async def get_model(request: Request, model: str) -> JSONResponse:
    context = context_of(request)
    check_model(model, context.served_model)
    return JSONResponse(_card(context))
