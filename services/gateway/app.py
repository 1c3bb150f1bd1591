"""The ASGI application: routes, errors, and what stands around them."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from xylem.services.gateway.apis.openai_responses.store.archive import Archive
from xylem.services.gateway.apis.operations import admin
from xylem.services.gateway.apis.routers import ROUTERS
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.http import errors as problems
from xylem.services.gateway.http.allowed_hosts import AllowedHosts, is_loopback
from xylem.services.gateway.http.authentication import Authentication
from xylem.services.gateway.http.middleware import BodyLimit, Counted
from xylem.services.gateway.http.origins import Cors, CrossSite
from xylem.services.gateway.http.rate_limits import RateLimits
from xylem.services.gateway.http.request_id import RequestId
from xylem.services.gateway.http.request_target import PlainTarget
from xylem.services.gateway.http.unpacked_body import UnpackedBody


def build(context: Context, responses: Archive) -> ASGIApp:
    """The application of one gateway."""
    app = FastAPI(
        title="Xylem",
        description="OpenAI-compatible API of a model served by Xylem.",
        docs_url=None,  # both pages would load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # PlainTarget serves what ends in one
    )
    app.state.context = context
    app.state.responses = responses
    problems.install(app)
    routers = [*ROUTERS, *([admin.router] if context.keys is not None and context.keys.has_admin else [])]
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    return _guarded(app, context)


def _guarded(app: ASGIApp, context: Context) -> ASGIApp:
    """Puts around it what a request passes before a route, the last line first."""
    settings, policy = context.settings, context.policy.http
    app = UnpackedBody(app, settings.max_body_bytes, policy)
    app = BodyLimit(app, settings.max_body_bytes, settings.client_timeout_s)
    app = RateLimits(app, context.open_requests)
    # A page has no key that it was not given, so that it can do nothing where keys are asked for.
    app = Authentication(app, context.keys) if context.keys is not None else CrossSite(app, settings.allow_origin)
    if settings.allow_origin:
        app = Cors(app, settings.allow_origin)
    if "*" not in settings.allowed_hosts and (settings.allowed_hosts or is_loopback(settings.host)):
        app = AllowedHosts(app, settings.allowed_hosts)
    return RequestId(PlainTarget(Counted(app, context.metrics)))
