"""POST /v1/score, also /score: two questions under one path, as vLLM and SGLang have it."""

from typing import Any

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.embeddings.fields import SCORE
from xylem.services.gateway.apis.embeddings.label_scores import LabelScoreWriter, label_order
from xylem.services.gateway.apis.embeddings.request import vector_order
from xylem.services.gateway.apis.embeddings.similarity import PairScoreWriter
from xylem.services.gateway.fields.body import read_object
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.generation.generation_request import check_model
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond
from xylem.shared.runtime.errors import InvalidRequest

router = APIRouter()

PAIRS = ("text_1", "text_2")
LABELS = ("query", "items", "label_token_ids")


@router.post("/score", include_in_schema=False, response_model=None)
@router.post(
    "/v1/score",
    summary="How alike texts are (text_1, text_2), or how likely tokens follow (query, items, label_token_ids)",
    response_model=None,
    **describe(SCORE, "A list of scores, or for label_token_ids a list of probabilities for each item."),
)
async def score(request: Request) -> Response:
    context = context_of(request)
    values = SCORE.read(await read_object(request))
    check_model(values["model"], context.offer)
    of_pairs = [name for name in PAIRS if values[name] is not None]
    of_labels = [name for name in LABELS if values[name] is not None]
    if of_pairs and of_labels:
        raise InvalidRequest(f"{of_pairs[0]} and {of_labels[0]} are parts of two questions", param=of_labels[0])
    if of_labels:
        order = label_order(values, context.offer)
        among = values["apply_softmax"]
        return await respond(request, context, order, "score", lambda head: LabelScoreWriter(head, among_labels=among))
    return await _pairs(request, context, values)


async def _pairs(request: Request, context: Context, values: dict[str, Any]) -> Response:
    for name in PAIRS:
        if values[name] is None:
            raise InvalidRequest(f"{name} is missing", param=name)
    first, second = values["text_1"], values["text_2"]
    if len(first) not in (1, len(second)):
        raise InvalidRequest(
            f"text_1 has {len(first)} texts and text_2 {len(second)}; give one, or as many", param="text_1"
        )
    order = vector_order({"text_1": first, "text_2": second}, values, context.offer)
    return await respond(request, context, order, "score", lambda head: PairScoreWriter(head, len(first)))
