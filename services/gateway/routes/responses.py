"""POST /v1/responses, and what can be done with a response that was made: GET, DELETE, cancel, its input items."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from services.gateway.body import read_object
from services.gateway.context import Context, context_of, key_of
from services.gateway.openapi import answers, describe
from services.gateway.respond import SEND_GRACE_S, admit
from services.gateway.responses.event_stream import ResponseStream
from services.gateway.responses.fields import RESPONSES
from services.gateway.responses.kept import Kept, KeptResponses
from services.gateway.responses.listing import MAX_LISTED, listed
from services.gateway.responses.request import read_request
from services.gateway.responses.run import Run, nobody
from shared.errors import InvalidRequest

router = APIRouter()

_encoder = msgspec.json.Encoder()

Identity = Annotated[str, Path(description="The id of a response of this gateway.")]


@router.post(
    "/v1/responses",
    summary="A response, made, queued or streamed",
    response_model=None,
    **describe(RESPONSES, "A response object, or with stream=true its named events as server-sent events."),
)
async def create(request: Request) -> Response:
    context, responses, owner = context_of(request), _responses(request), _owner(request)
    asked = read_request(await read_object(request), context.offer, responses, owner)
    admit(request, context, asked.order)
    logs = asked.stream or asked.background
    run = Run(context, asked.order, asked.response, request.headers.get("traceparent", ""), logs=logs)
    kept = Kept(owner, asked.items, run)
    run.start(nobody if asked.background else request.receive, on_end=lambda: responses.settle(kept))
    if asked.store:
        responses.add(kept)
    if asked.background:
        return _stream(context, run, attends=False) if asked.stream else _json(run.response)
    try:
        await (run.begun() if asked.stream else run.ended())
    except BaseException:
        run.cancel()
        raise
    if run.error is not None:
        responses.remove(kept)  # its id was never told
        raise run.error
    return _stream(context, run, attends=True) if asked.stream else _json(run.response)


@router.get(
    "/v1/responses/{response_id}",
    summary="A response that was made, or is being made",
    response_model=None,
    responses=answers("A response object, or with stream=true its events from the next one on."),
)
async def retrieve(
    request: Request,
    response_id: Identity,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=-1, description="The last sequence number that is not told.")] = -1,
) -> Response:
    context = context_of(request)
    run = _find(request, response_id).run
    if not stream:
        return _json(run.response)
    if not run.log.records:
        raise InvalidRequest("only a response with stream or background true can be streamed again", param="stream")
    return _stream(context, run, starting_after, attends=False)


@router.delete(
    "/v1/responses/{response_id}",
    summary="Forgets a response; one that is being made ends",
    response_model=None,
    responses=answers('{"id": "...", "object": "response", "deleted": true}'),
)
async def delete(request: Request, response_id: Identity) -> Response:
    kept = _find(request, response_id)
    _responses(request).remove(kept)
    return _json({"id": response_id, "object": "response", "deleted": True})


@router.post(
    "/v1/responses/{response_id}/cancel",
    summary="Ends a response that is being made",
    response_model=None,
    responses=answers("The response with what it has come to; one that had ended before is unchanged."),
)
async def cancel(request: Request, response_id: Identity) -> Response:
    run = _find(request, response_id).run
    run.cancel()
    await run.ended()
    return _json(run.response)


@router.get(
    "/v1/responses/{response_id}/input_items",
    summary="What a response was made from",
    response_model=None,
    responses=answers("A list of items, those of earlier responses of the conversation among them."),
)
async def input_items(
    request: Request,
    response_id: Identity,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 20,
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    after: Annotated[str, Query(description="The id of the last item that is not listed.")] = "",
) -> Response:
    return _json(listed(_find(request, response_id).items, limit, order, after))


def _responses(request: Request) -> KeptResponses:
    responses = request.app.state.responses
    assert isinstance(responses, KeptResponses)
    return responses


def _owner(request: Request) -> str:
    key = key_of(request)
    return key.name if key is not None else ""


def _find(request: Request, response_id: str) -> Kept:
    return _responses(request).find(response_id, _owner(request))


def _stream(context: Context, run: Run, after: int = -1, *, attends: bool) -> Response:
    return ResponseStream(run, after, context.settings.request_timeout_s + SEND_GRACE_S, attends=attends)


def _json(body: Any) -> Response:
    return Response(_encoder.encode(body), media_type="application/json")
