"""The ASGI application: routes, errors, and what stands around them."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from xylem.services.gateway.apis.openai_responses.store.archive import Archive
from xylem.services.gateway.apis.operations import admin
from xylem.services.gateway.apis.routers import ROUTERS
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.http import errors as problems
from xylem.services.gateway.http.authentication import Authentication
from xylem.services.gateway.http.middleware import BodyLimit, Counted


def build(context: Context, responses: Archive) -> ASGIApp:
    """The application of one gateway."""
    app = FastAPI(
        title="Xylem",
        description="OpenAI-compatible API of a model served by Xylem.",
        docs_url=None,  # both pages would load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.context = context
    app.state.responses = responses
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    guarded: ASGIApp = BodyLimit(app, context.settings.max_body_bytes, context.settings.client_timeout_s)
    if context.keys is not None:
        if context.keys.has_admin:
            app.include_router(admin.router)
        guarded = Authentication(guarded, context.keys)
    return Counted(guarded, context.metrics)
