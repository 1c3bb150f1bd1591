"""The paths of the gateway, one small file each. A new endpoint over existing messages is one more file and its row."""

from fastapi import APIRouter

from services.gateway.routes import (
    abort,
    chat,
    completions,
    embeddings,
    flush,
    generate,
    health,
    health_generate,
    info,
    loads,
    messages,
    metrics,
    models,
    rerank,
    responses,
    score,
    tokenize,
)

ROUTERS: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    responses.router,
    messages.router,
    generate.router,
    embeddings.router,
    score.router,
    rerank.router,
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
