"""A request for a response, understood: what goes to the pipeline, and what the response repeats of it."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

from services.gateway.fields import wrong
from services.gateway.order import Offer, Order, chat_order
from services.gateway.parts import mapping, only_keys
from services.gateway.responses.fields import RESPONSES
from services.gateway.responses.items import Item, read_items
from services.gateway.responses.kept import KeptResponses
from services.gateway.responses.shapes import Response
from services.gateway.responses.translation import NAMES, chat_body, read_tools, reasoning_effort, text_format
from shared.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """items: the whole conversation. response: as it is before anything is known of it."""

    order: Order
    items: list[Item]
    response: Response
    stream: bool

    @property
    def store(self) -> bool:
        return self.response.store

    @property
    def background(self) -> bool:
        return self.response.background


def read_request(body: dict[str, Any], offer: Offer, kept: KeptResponses, owner: str) -> Asked:
    """Raises InvalidRequest and NotFound in the words of this API."""
    values = RESPONSES.read(body)
    # Padding against an eavesdropper who measures sizes: it changes no answer. Usage comes in any case.
    only_keys("stream_options", mapping("stream_options", values["stream_options"] or {}), ("include_obfuscation",))
    items = read_items(values["input"])
    previous = values["previous_response_id"]
    if previous is not None:
        items = kept.gone_on_from(previous, owner).conversation + items
    if values["background"] and not values["store"]:
        raise InvalidRequest("background needs store to be true", param="background")
    with NAMES.spoken():
        order = chat_order(chat_body(body, values, items), offer)
    return Asked(order, items, _response(values, offer), values["stream"])


def _response(values: dict[str, Any], offer: Offer) -> Response:
    return Response(
        id=f"resp_{uuid.uuid4().hex}",
        created_at=int(time.time()),
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
