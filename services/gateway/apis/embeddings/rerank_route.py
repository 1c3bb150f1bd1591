"""POST /v1/rerank, also /rerank"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import RerankBody
from xylem.services.gateway.apis.embeddings.request import vector_request
from xylem.services.gateway.apis.embeddings.similarity import RankingWriter
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

router = APIRouter()


@router.post("/rerank", include_in_schema=False, response_model=None)
@router.post(
    "/v1/rerank",
    summary="Documents in the order of their likeness to a query",
    response_model=None,
    **describe(RerankBody, '{"results": [{"index", "relevance_score", "document"}]}, the likest first.'),
)
async def rerank(request: Request) -> Response:
    context = context_of(request)
    body = RerankBody.read(await read_object(request))
    check_model(body.model, context.served_model)
    documents = body.documents
    generation = vector_request({"query": [body.query], "documents": documents}, body, context.served_model)
    num_best, with_documents = body.top_n or 0, body.return_documents
    return await respond(
        request,
        context,
        generation,
        "rerank",
        lambda head: RankingWriter(head, documents, num_best=num_best, with_documents=with_documents),
    )
