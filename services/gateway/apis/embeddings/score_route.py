"""POST /v1/score, also /score: two questions under one path, as vLLM and SGLang have it."""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import ScoreBody
from xylem.services.gateway.apis.embeddings.label_scores import LabelScoreWriter, label_request
from xylem.services.gateway.apis.embeddings.request import vector_request
from xylem.services.gateway.apis.embeddings.similarity import PairScoreWriter
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond
from xylem.shared.runtime.errors import InvalidRequest

router = APIRouter()


@router.post("/score", include_in_schema=False, response_model=None)
@router.post(
    "/v1/score",
    summary="How alike texts are (text_1, text_2), or how likely tokens follow (query, items, label_token_ids)",
    response_model=None,
    **describe(ScoreBody, "A list of scores, or for label_token_ids a list of probabilities for each item."),
)
async def score(request: Request) -> Response:
    context = context_of(request)
    body = ScoreBody.read(await read_object(request))
    check_model(body.model, context.served_model)
    of_pairs = _given({"text_1": body.text_1, "text_2": body.text_2})
    of_labels = _given({"query": body.query, "items": body.items, "label_token_ids": body.label_token_ids})
    if of_pairs and of_labels:
        raise InvalidRequest(f"{of_pairs[0]} and {of_labels[0]} are parts of two questions", param=of_labels[0])
    if of_labels:
        generation = label_request(body, context.served_model)
        among = body.apply_softmax
        return await respond(
            request, context, generation, "score", lambda head: LabelScoreWriter(head, among_labels=among)
        )
    return await _pairs(request, context, body)


def _given(values: dict[str, object]) -> list[str]:
    return [name for name, value in values.items() if value is not None]


async def _pairs(request: Request, context: Context, body: ScoreBody) -> Response:
    first, second = body.text_1, body.text_2
    if first is None:
        raise InvalidRequest("text_1 is missing", param="text_1")
    if second is None:
        raise InvalidRequest("text_2 is missing", param="text_2")
    if len(first) not in (1, len(second)):
        raise InvalidRequest(
            f"text_1 has {len(first)} texts and text_2 {len(second)}; give one, or as many", param="text_1"
        )
    generation = vector_request({"text_1": first, "text_2": second}, body, context.served_model)
    return await respond(request, context, generation, "score", lambda head: PairScoreWriter(head, len(first)))
