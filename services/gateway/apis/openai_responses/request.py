"""A request for a response, understood: what is stored of it, what goes to the pipeline, what the response repeats."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from xylem.services.gateway.apis.openai_responses.fields import RESPONSES
from xylem.services.gateway.apis.openai_responses.items import Item, read_items
from xylem.services.gateway.apis.openai_responses.schema import Response
from xylem.services.gateway.apis.openai_responses.store.record import Record
from xylem.services.gateway.apis.openai_responses.translation import (
    NAMES,
    chat_body,
    read_tools,
    reasoning_effort,
    text_format,
)
from xylem.services.gateway.fields.field import wrong
from xylem.services.gateway.fields.nested_checks import mapping, only_keys
from xylem.services.gateway.generation.generation_request import GenerationRequest, ServedModel, chat_order
from xylem.shared.runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """response: as it is before anything is known of it."""

    order: GenerationRequest
    record: Record
    response: Response

    @property
    def accepted(self) -> Record:
        """What is stored of it, once the order is for somebody."""
        order = self.order
        return msgspec.structs.replace(self.record, seed=order.base_seed, tenant=order.tenant, salt=order.salt)


def previous_of(body: dict[str, Any]) -> str | None:
    """The response that a request goes on from. Raises InvalidRequest for a field that is wrong by itself."""
    values = RESPONSES.read(body)
    # Padding against an eavesdropper who measures sizes: it changes no answer. Usage comes in any case.
    only_keys("stream_options", mapping("stream_options", values["stream_options"] or {}), ("include_obfuscation",))
    if values["background"] and not values["store"]:
        raise InvalidRequest("background needs store to be true", param="background")
    previous: str | None = values["previous_response_id"]
    return previous


def new_record(body: dict[str, Any], before: list[Item], owner: str) -> Record:
    """Of a request that comes in now; before: the conversation so far. Raises InvalidRequest."""
    items = before + read_items(body["input"])
    return Record(
        id=f"resp_{uuid.uuid4().hex}",
        created_at=int(time.time()),
        owner=owner,
        body=body | {"input": ""},  # which is among the items
        items=items,
    )


def understand(record: Record, offer: ServedModel) -> ResponseRequest:
    """The same order each time that it has been accepted. Raises InvalidRequest and NotFound in this API's words."""
    values = RESPONSES.read(record.body)
    with NAMES.spoken():
        order = chat_order(chat_body(record.body, values, record.items), offer)
    order.by_token, order.event_ids = True, values["store"]
    if record.seed is not None:
        order.use_seed(record.seed)
        order.tenant, order.salt = record.tenant, record.salt
    return ResponseRequest(order, record, _response(record, values, offer))


def _response(record: Record, values: dict[str, Any], offer: ServedModel) -> Response:
    return Response(
        id=record.id,
        created_at=record.created_at,
        status="queued" if values["background"] else "in_progress",
        model=offer.model,
        instructions=values["instructions"],
        previous_response_id=values["previous_response_id"],
        max_output_tokens=values["max_output_tokens"],
        temperature=values["temperature"],
        top_p=values["top_p"],
        top_logprobs=values["top_logprobs"] or 0,
        text={"format": text_format(values)},
        tools=read_tools(values["tools"]),
        tool_choice=values["tool_choice"] or "auto",
        parallel_tool_calls=values["parallel_tool_calls"],
        reasoning={"effort": reasoning_effort(values), "summary": None},
        metadata=_metadata(values["metadata"]),
        store=values["store"],
        background=values["background"],
    )


def _metadata(value: Any) -> dict[str, str]:
    metadata = mapping("metadata", value or {})
    for name, each in metadata.items():
        if type(each) is not str:
            raise wrong(f"metadata.{name[:80]}", "a string", each)
    return metadata
