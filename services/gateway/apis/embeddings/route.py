"""POST /v1/embeddings"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import EmbeddingsBody
from xylem.services.gateway.apis.embeddings.request import vector_request
from xylem.services.gateway.apis.embeddings.response import EmbeddingResponseWriter
from xylem.services.gateway.fields.error_field_names import ErrorFieldNames
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

NAMES = ErrorFieldNames([(r"^prompt$", "input")])

router = APIRouter()


@router.post(
    "/v1/embeddings",
    summary="Texts as vectors of length 1",
    response_model=None,
    **describe(EmbeddingsBody, "A list of embeddings, in the order of the input."),
)
async def embeddings(request: Request) -> Response:
    context = context_of(request)
    body = EmbeddingsBody.read(await read_object(request))
    check_model(body.model, context.served_model)
    generation = vector_request({"input": body.input}, body, context.served_model)
    as_base64, dimensions = body.encoding_format == "base64", body.dimensions
    with NAMES.spoken():
        return await respond(
            request,
            context,
            generation,
            "embd",
            lambda head: EmbeddingResponseWriter(head, as_base64=as_base64, dimensions=dimensions),
        )
