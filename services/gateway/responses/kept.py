"""Responses that can be retrieved, gone on from, cancelled and deleted: in this gateway's memory, within bounds."""

from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from services.gateway.responses.event_log import EventLog
from services.gateway.responses.items import Item
from services.gateway.responses.run import Run
from services.gateway.responses.shapes import Response
from shared.errors import InvalidRequest, NotFound

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Kept:
    """One response with the conversation before it. owner: the name of the key that made it, the only one to see it."""

    owner: str
    items: list[Item]  # what the model was given; earlier responses of the conversation share them
    run: Run
    num_bytes: int = 0  # once it has ended

    @property
    def response(self) -> Response:
        return self.run.response

    @property
    def log(self) -> EventLog:
        return self.run.log

    @property
    def conversation(self) -> list[Item]:
        """What a response that goes on from this one is given before its own input."""
        return [*self.items, *msgspec.to_builtins(self.response.output)]


class ResponseNotFound(NotFound):
    code = "response_not_found"


class KeptResponses:
    """The longest unused goes first when there are too many or they are too large; a running one stays."""

    def __init__(self, max_number: int, max_bytes: int) -> None:
        self._max_number = max_number
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()  # the longest unused first
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, kept: Kept) -> None:
        """Keeps a response that is being made; `settle` is called with it in the end."""
        self._kept[kept.response.id] = kept
        self._make_room()

    def settle(self, kept: Kept) -> None:
        """It has ended: from now on its size counts, and it may have to go."""
        if self._kept.get(kept.response.id) is kept:
            kept.num_bytes = len(_encoder.encode((kept.response, kept.items))) + kept.log.num_bytes
            self.num_bytes += kept.num_bytes
            self._make_room()

    def find(self, identity: str, owner: str, param: str | None = None) -> Kept:
        """Raises NotFound: nobody's, somebody else's, or forgotten. param: the field that named it."""
        kept = self._kept.get(identity)
        if kept is None or kept.owner != owner:
            raise ResponseNotFound(
                f"there is no response {identity[:100]!r} here (any more); gateways keep their own, for a while",
                param=param,
            )
        self._kept.move_to_end(identity)
        return kept

    def gone_on_from(self, identity: str, owner: str) -> Kept:
        """As `find`, for previous_response_id. Raises InvalidRequest when there is no answer to go on from."""
        kept = self.find(identity, owner, "previous_response_id")
        if kept.response.status not in ("completed", "incomplete"):
            raise InvalidRequest(
                f"response {identity[:100]!r} is {kept.response.status}; only a completed one can be gone on from",
                param="previous_response_id",
            )
        return kept

    def remove(self, kept: Kept) -> None:
        """Forgets it; one that is running ends."""
        if self._kept.pop(kept.response.id, None) is not None:
            self.num_bytes -= kept.num_bytes
            kept.run.cancel()

    def _make_room(self) -> None:
        if self._fits():
            return
        for kept in list(self._kept.values()):
            if kept.run.has_ended:
                self.remove(kept)
            if self._fits():
                return

    def _fits(self) -> bool:
        return len(self._kept) <= self._max_number and self.num_bytes <= self._max_bytes
