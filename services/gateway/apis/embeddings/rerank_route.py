"""POST /v1/rerank, also /rerank"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import RERANK
from xylem.services.gateway.apis.embeddings.request import vector_order
from xylem.services.gateway.apis.embeddings.similarity import RankingWriter
from xylem.services.gateway.fields.body import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.generation.generation_request import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

router = APIRouter()


@router.post("/rerank", include_in_schema=False, response_model=None)
@router.post(
    "/v1/rerank",
    summary="Documents in the order of their likeness to a query",
    response_model=None,
    **describe(RERANK, '{"results": [{"index", "relevance_score", "document"}]}, the likest first.'),
)
async def rerank(request: Request) -> Response:
    context = context_of(request)
    values = RERANK.read(await read_object(request))
    check_model(values["model"], context.offer)
    documents = values["documents"]
    order = vector_order({"query": [values["query"]], "documents": documents}, values, context.offer)
    num_best, with_documents = values["top_n"] or 0, values["return_documents"]
    return await respond(
        request,
        context,
        order,
        "rerank",
        lambda head: RankingWriter(head, documents, num_best=num_best, with_documents=with_documents),
    )
