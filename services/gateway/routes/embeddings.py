"""POST /v1/embeddings"""

from fastapi import APIRouter, Request, Response

from services.gateway.body import read_object
from services.gateway.context import context_of
from services.gateway.openapi import describe
from services.gateway.order import check_model
from services.gateway.respond import respond
from services.gateway.vectors.embeddings import EmbeddingForm
from services.gateway.vectors.fields import EMBEDDINGS
from services.gateway.vectors.order import vector_order

router = APIRouter()


@router.post(
    "/v1/embeddings",
    summary="Texts as vectors of length 1",
    response_model=None,
    **describe(EMBEDDINGS, "A list of embeddings, in the order of the input."),
)
async def embeddings(request: Request) -> Response:
    context = context_of(request)
    values = EMBEDDINGS.read(await read_object(request))
    check_model(values["model"], context.offer)
    order = vector_order({"input": values["input"]}, values, context.offer)
    as_base64, dimensions = values["encoding_format"] == "base64", values["dimensions"]
    return await respond(
        request,
        context,
        order,
        "embd",
        lambda head: EmbeddingForm(head, as_base64=as_base64, dimensions=dimensions),
    )
