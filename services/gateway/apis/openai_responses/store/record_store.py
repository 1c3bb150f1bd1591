"""The records of all responses of a model, in a JetStream bucket that all of its gateways share."""

import logging
from contextlib import suppress

import msgspec

from xylem.services.gateway.apis.openai_responses.store.record import Record, decode, encode
from xylem.shared.protocol.subjects import RESPONSES
from xylem.shared.runtime.bucket import Bucket, Stale
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.settings import GatewaySettings

log = logging.getLogger(__name__)

UNFINISHED = "unfinished"


class RecordStore:
    """A record is under the response's id. Everything raises Unavailable when the bucket does not answer.

    Beside the record of a response that goes on by itself there is a mark until it has ended, so that those whose
    gateway died are found without reading all that was ever stored. The mark only says where to look.
    """

    def __init__(self, bus: Bus, settings: GatewaySettings) -> None:
        self._bucket = Bucket(
            bus,
            RESPONSES,
            ttl_s=settings.response_ttl_s,
            max_bytes=settings.response_store_bytes,
            replicas=settings.response_replicas,
        )
        self._model = settings.model_slug
        self.is_wanted = settings.response_store_bytes > 0

    @property
    def trouble(self) -> str:
        """Returns why records are neither stored nor found now; an empty string when they are, or are not wanted."""
        return self._bucket.trouble if self.is_wanted else ""

    async def open_bucket(self) -> None:
        if self.is_wanted:
            await self._bucket.open()

    async def get_record(self, identity: str) -> tuple[Record, int] | None:
        """Returns the record and its revision; None only when there is no such record."""
        if not self.is_wanted:
            return None
        found = await self._bucket.get(self._key(identity))
        if found is None:
            return None
        try:
            return decode(found[0]), found[1]
        except msgspec.DecodeError as error:
            log.error("the record of %s can't be read: %s", identity, error)
            raise Unavailable(f"the record of {identity} can't be read by this version", retry_after_s=1.0) from None

    async def put_record(self, record: Record, revision: int) -> int:
        """Writes over that revision and returns the new one. Raises Stale, PayloadTooLarge."""
        if record.background and not revision:
            with suppress(Stale):
                await self._bucket.put(self._mark(record.id), b"", 0)
        revision = await self._bucket.put(self._key(record.id), encode(record), revision)
        if record.background and record.final is not None:
            await self.unmark(record.id)
        return revision

    async def remove_record(self, identity: str) -> None:
        await self.unmark(identity)
        await self._bucket.remove(self._key(identity))

    async def unmark(self, identity: str) -> None:
        await self._bucket.remove(self._mark(identity))

    async def unfinished(self) -> list[str]:
        """The ids of responses that go on by themselves, and of some that have ended."""
        if not self.is_wanted:
            return []
        return [key.split(".")[1] for key in await self._bucket.keys(self._mark("*"))]

    def _key(self, identity: str) -> str:
        return f"{self._model}.{identity}"

    def _mark(self, identity: str) -> str:
        return f"{self._model}.{identity}.{UNFINISHED}"
