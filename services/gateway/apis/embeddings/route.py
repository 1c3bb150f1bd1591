"""POST /v1/embeddings"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import EMBEDDINGS
from xylem.services.gateway.apis.embeddings.request import vector_order
from xylem.services.gateway.apis.embeddings.response import EmbeddingResponseWriter
from xylem.services.gateway.fields.body import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.generation.generation_request import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

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
        lambda head: EmbeddingResponseWriter(head, as_base64=as_base64, dimensions=dimensions),
    )
