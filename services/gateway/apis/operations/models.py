"""GET /v1/models and /v1/models/{id}"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.http.openapi import answers

router = APIRouter()


def _card(context: Context) -> JsonObject:
    return {
        "id": context.served_model.model,
        "object": "model",
        "created": context.created,
        "owned_by": "xylem",
        "max_model_len": context.served_model.context_length,
    }


@router.get(
    "/v1/models", summary="The models that are served", response_model=None, responses=answers("A list of models.")
)
async def list_models(request: Request) -> JSONResponse:
    return JSONResponse({"object": "list", "data": [_card(context_of(request))]})


@router.get("/v1/models/{model:path}", summary="One model", response_model=None, responses=answers("A model."))
async def get_model(request: Request, model: str) -> JSONResponse:
    context = context_of(request)
    check_model(model, context.served_model)
    return JSONResponse(_card(context))
