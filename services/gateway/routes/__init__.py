"""The paths of the gateway, one small file each. A new endpoint over existing messages is one more file and its row."""

from fastapi import APIRouter

from services.gateway.routes import chat, completions, health, metrics, models, tokenize

ROUTERS: tuple[APIRouter, ...] = (
    chat.router,
    completions.router,
    models.router,
    tokenize.router,
    health.router,
    metrics.router,
)
