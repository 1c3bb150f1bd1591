"""All routers of the gateway. A new endpoint over existing messages is one more file and its row here."""

from fastapi import APIRouter

from xylem.services.gateway.apis.anthropic_messages import errors as message_errors
from xylem.services.gateway.apis.anthropic_messages import route as messages
from xylem.services.gateway.apis.embeddings import rerank_route as rerank
from xylem.services.gateway.apis.embeddings import route as embeddings
from xylem.services.gateway.apis.embeddings import score_route as score
from xylem.services.gateway.apis.openai_chat import route as chat
from xylem.services.gateway.apis.openai_completions import route as completions
from xylem.services.gateway.apis.openai_responses import route as responses
from xylem.services.gateway.apis.operations import (
    abort,
    flush,
    health,
    health_generate,
    home,
    info,
    metrics,
    models,
    tokenize,
)
from xylem.services.gateway.apis.operations import loads_route as loads
from xylem.services.gateway.apis.sglang_generate import route as generate
from xylem.services.gateway.http.errors import register_error_body

ROUTERS: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    responses.router,
    messages.router,
    generate.router,
    embeddings.router,
    score.router,
    rerank.router,
    home.router,
    models.router,
    tokenize.router,
    health.router,
    health_generate.router,
    info.router,
    loads.router,
    flush.router,
    abort.router,
    metrics.router,
)

register_error_body(message_errors.PATH, message_errors.problem)
