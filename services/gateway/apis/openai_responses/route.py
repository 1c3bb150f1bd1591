"""POST /v1/responses, and what can be done with a response that was made: GET, DELETE, cancel, its input items."""

import asyncio
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from xylem.services.gateway.apis.openai_responses.event_stream import ResponseStream
from xylem.services.gateway.apis.openai_responses.fields import ResponsesBody
from xylem.services.gateway.apis.openai_responses.items import referenced_ids
from xylem.services.gateway.apis.openai_responses.listing import MAX_LISTED, listed
from xylem.services.gateway.apis.openai_responses.path import RESPONSE_PATH
from xylem.services.gateway.apis.openai_responses.request import new_record, previous_of, understand
from xylem.services.gateway.apis.openai_responses.run import ResponseRun, nobody
from xylem.services.gateway.apis.openai_responses.store.archive import Archive
from xylem.services.gateway.apis.openai_responses.store.location import LocalResponse, ResponseLocation
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of, key_of
from xylem.services.gateway.http.openapi import answers, describe
from xylem.services.gateway.http.respond import admit
from xylem.shared.protocol.columns import INT32_MAX
from xylem.shared.runtime.errors import InvalidRequest

router = APIRouter()

_encoder = msgspec.json.Encoder()

Identity = Annotated[str, Path(description="The id of a response.")]


@router.post(
    "/v1/responses",
    summary="A response, made, queued or streamed",
    response_model=None,
    **describe(ResponsesBody, "A response object, or with stream=true its named events as server-sent events."),
)
async def create(request: Request) -> Response:
    context, archive = context_of(request), _archive(request)
    body = await read_object(request)
    previous = previous_of(body)
    before = [] if previous is None else await archive.conversation(previous, _tenant(request))
    found = await archive.find_items(referenced_ids(body["input"]), _tenant(request))
    response_request = understand(new_record(body, before, context.settings.instance, found), context.served_model)
    admit(request, context, response_request.chat_request)
    background, streams = response_request.response.background, response_request.record.body.get("stream", False)
    receive = nobody if background else request.receive
    in_memory = archive.begin_response(response_request, receive, request.headers.get("traceparent", ""))
    location, run = LocalResponse(archive, in_memory), in_memory.run
    if background:
        await archive.until_stored(in_memory)
        return await _stream(request, location) if streams else _json(response_request.response)
    try:
        if streams:
            with suppress(TimeoutError):  # the client is pinged then
                async with asyncio.timeout(context.settings.ping_s or None):
                    await run.begun()
        else:
            await run.ended()
    except BaseException:
        run.cancel()
        raise
    if run.error is not None:
        archive.discard(in_memory)  # its id was never told
        raise run.error
    return await _stream(request, location, attended=run) if streams else _json(run.response)


@router.get(
    RESPONSE_PATH,
    summary="A response that was made, or is being made",
    response_model=None,
    responses=answers("A response object, or with stream=true its events from the next one on."),
)
async def retrieve(
    request: Request,
    response_id: Identity,
    stream: bool = False,
    starting_after: Annotated[
        int, Query(ge=-1, le=INT32_MAX, description="The last sequence number that is not told.")
    ] = -1,
) -> Response:
    location = await _find(request, response_id)
    if not stream:
        return _json(await location.read_body())
    if not location.record.tells_events:
        raise InvalidRequest("only a response with stream or background true can be streamed again", param="stream")
    return await _stream(request, location, starting_after)


@router.delete(
    RESPONSE_PATH,
    summary="Forgets a response; one that is being made ends",
    response_model=None,
    responses=answers('{"id": "...", "object": "response", "deleted": true}'),
)
async def delete(request: Request, response_id: Identity) -> Response:
    await (await _find(request, response_id)).remove_response()
    return _json({"id": response_id, "object": "response", "deleted": True})


@router.post(
    f"{RESPONSE_PATH}/cancel",
    summary="Ends a response that is being made",
    response_model=None,
    responses=answers("The response with what it has come to; one that had ended before is unchanged."),
)
async def cancel(request: Request, response_id: Identity) -> Response:
    return _json(await (await _find(request, response_id)).cancel_response())


@router.get(
    f"{RESPONSE_PATH}/input_items",
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
    location = await _find(request, response_id)
    return _json(listed(location.record.items, limit, order, after))


def _archive(request: Request) -> Archive:
    archive = request.app.state.responses
    assert isinstance(archive, Archive)
    return archive


def _tenant(request: Request) -> str:
    key = key_of(request)
    return key.name if key is not None else ""


async def _find(request: Request, response_id: str) -> ResponseLocation:
    return await _archive(request).find_response(response_id, _tenant(request))


async def _stream(
    request: Request, location: ResponseLocation, after: int = -1, attended: ResponseRun | None = None
) -> Response:
    events = await location.stream_events(after, key_of(request))
    return ResponseStream(events, context_of(request), attended)


def _json(body: object) -> Response:
    return Response(_encoder.encode(body), media_type="application/json")
