"""A request for a response, understood: what is stored of it, what goes to the pipeline, what the response repeats."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.apis.openai_responses.fields import ResponsesBody
from xylem.services.gateway.apis.openai_responses.items import NO_ITEMS, read_items
from xylem.services.gateway.apis.openai_responses.schema import Item, Response
from xylem.services.gateway.apis.openai_responses.store.record import Record
from xylem.services.gateway.apis.openai_responses.translation import (
    NAMES,
    chat_body,
    reasoning_effort,
    text_format,
)
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, only_keys, sequence
from xylem.services.gateway.fields.value_errors import wrong
from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.shared.runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """response: as it is before anything is known of it."""

    chat_request: GenerationRequest
    record: Record
    response: Response

    @property
    def accepted(self) -> Record:
        """Returns what is stored of it, once the request has a tenant."""
        params = self.chat_request.params
        return msgspec.structs.replace(
            self.record, seed=params.sampling.seed, tenant=params.tenant, salt=params.cache_salt
        )


def previous_of(body: JsonObject) -> str | None:
    """Returns the id of the response that a request goes on from. Raises InvalidRequest for a wrong field."""
    asked = ResponsesBody.read(body)
    # Padding against an eavesdropper who measures sizes: it changes no answer. Usage comes in any case.
    only_keys("stream_options", mapping("stream_options", asked.stream_options or {}), ("include_obfuscation",))
    if asked.background and not asked.store:
        raise InvalidRequest("background needs store to be true", param="background")
    return asked.previous_response_id


def new_record(body: JsonObject, before: list[Item], owner: str, found: Mapping[str, Item] = NO_ITEMS) -> Record:
    """Returns the record of a request that comes in now. Raises InvalidRequest.

    before: the conversation so far. found: what references of the input mean, by id.
    """
    items = before + read_items(body["input"], {item.id: item for item in before} | dict(found))
    return Record(
        id=f"resp_{uuid.uuid4().hex}",
        created_at=int(time.time()),
        owner=owner,
        body=body | {"input": ""},  # which is among the items
        items=items,
    )


def understand(record: Record, served: ServedModel) -> ResponseRequest:
    """Returns the same request each time for an accepted record. Raises InvalidRequest, NotFound in the API's words."""
    body = ResponsesBody.read(record.body)
    with NAMES.spoken():
        chat = ChatBody.read(chat_body(record.body, body, record.items))
        request = chat_request(chat, served)
    request.by_token, request.event_ids = True, body.store
    if record.seed is not None:
        request.use_seed(record.seed)
        request.assign_tenant(record.tenant, record.salt)
    return ResponseRequest(request, record, _response(record, body, chat, served.model))


def _response(record: Record, body: ResponsesBody, chat: ChatBody, model: str) -> Response:
    return Response(
        id=record.id,
        created_at=record.created_at,
        status="queued" if body.background else "in_progress",
        model=model,
        instructions=body.instructions,
        previous_response_id=body.previous_response_id,
        max_output_tokens=body.max_output_tokens,
        temperature=chat.temperature,
        top_p=chat.top_p,
        top_logprobs=body.top_logprobs or 0,
        text={"format": text_format(body)},
        tools=_told_tools(body.tools),
        tool_choice=body.tool_choice or "auto",
        parallel_tool_calls=body.parallel_tool_calls,
        reasoning={"effort": reasoning_effort(body), "summary": None},
        metadata=_metadata(body.metadata),
        store=body.store,
        background=body.background,
        truncation=body.truncation,
    )


def _told_tools(value: Json) -> list[JsonObject]:
    """The tools as the response repeats them: with all that a function has."""
    tools = [mapping(f"tools[{i}]", tool) for i, tool in enumerate(sequence("tools", value or []))]
    nothing: JsonObject = {"parameters": None, "strict": None}
    return [{**nothing, **tool} if tool.get("type") == "function" else tool for tool in tools]


def _metadata(value: Json) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for name, each in mapping("metadata", value or {}).items():
        if type(each) is not str:
            raise wrong(f"metadata.{name[:80]}", "a string", each)
        metadata[name] = each
    return metadata
