"""A JetStream key-value bucket holds what must outlive a process. Beside the bus the only module that knows NATS.

The bucket is a stream in the shape that NATS's own tools know (`nats kv ls NAME`), made by hand for one thing that they
would not do: when it is full the oldest entry gives way, instead of the newest being refused.
Source: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-8.md
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, Header, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from xylem.shared.protocol.subjects import bucket_key, bucket_stream
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable

log = logging.getLogger(__name__)

ANSWER_S = 2.0  # nobody waits longer for the server to have stored, or found, something
REOPEN_PAUSE_S = 1.0  # between two tries to open it; whoever needs it meanwhile hears why the last one failed
HEAD_BYTES = 1024  # of a message, beside the value
NOT_OPENED = "it has not been opened yet"
NO_SUCH_MESSAGE = 10037  # a 404 with any other number is of the stream
STREAM_EXISTS = 10058  # with other settings
STALE = 10071


class Stale(Exception):
    """Somebody else has written the key, or removed it, since it was read."""


class Bucket:
    """Values by key. A key's revision grows with every write of it. All raise Unavailable if JetStream does not serve.

    It is opened by the first use, and once more after each failure: only a bucket that was looked at says that a key is
    absent. `trouble` says why it did not serve when it was used last, and is empty when it did.

    ttl_s: how long a value is kept; max_bytes: of all together, on disk; replicas: on how many servers of a cluster.
    """

    def __init__(self, bus: Bus, name: str, *, ttl_s: float, max_bytes: int, replicas: int) -> None:
        self._bus = bus
        self._name = name
        self._stream = bucket_stream(name)
        self._next_try_s = 0.0
        self.trouble = NOT_OPENED
        self._config = StreamConfig(
            name=self._stream,
            subjects=[bucket_key(name, ">")],
            max_msgs_per_subject=1,
            max_age=ttl_s,
            max_bytes=max_bytes,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            num_replicas=replicas,
            allow_rollup_hdrs=True,
            allow_direct=True,
        )

    async def open(self) -> None:
        """Looks for the bucket, makes it if absent, and gives one that is there these settings if it takes them."""
        async with self._serving():
            pass

    async def get(self, key: str) -> tuple[bytes, int] | None:
        """Returns the value and its revision; None says that a bucket that is there does not have the key."""
        async with self._serving():
            try:
                found = await self._jetstream.get_msg(self._stream, subject=bucket_key(self._name, key))
            except NotFoundError as error:
                if error.err_code != NO_SUCH_MESSAGE:
                    raise
                return None
        return found.data or b"", int(found.seq)

    async def put(self, key: str, value: bytes, revision: int) -> int:
        """Writes over that revision (0: there is no such key yet) and returns the new one.

        Raises Stale when it is another one by now, and PayloadTooLarge.
        """
        limit = self._bus.max_payload - HEAD_BYTES
        if len(value) > limit:
            raise PayloadTooLarge(f"{key} has {len(value)} bytes, more than the {limit} that a bucket takes")
        headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        async with self._serving():
            try:
                ack = await self._jetstream.publish(bucket_key(self._name, key), value, headers=headers)
            except APIError as error:
                if error.err_code == STALE:
                    raise Stale(key) from None
                raise
        return int(ack.seq)

    async def remove(self, key: str) -> None:
        """Without a trace; what is not there stays so."""
        async with self._serving():
            await self._jetstream.purge_stream(self._stream, subject=bucket_key(self._name, key))

    async def keys(self, pattern: str) -> list[str]:
        """The keys that match; `*` stands for any one part between dots."""
        async with self._serving():
            found = await self._jetstream.stream_info(self._stream, subjects_filter=bucket_key(self._name, pattern))
        start = len(bucket_key(self._name, ""))
        return [subject[start:] for subject in found.state.subjects or {}]

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """Around a use of the bucket: opens it if need be, and notes whether it serves. Raises Unavailable."""
        try:
            if self.trouble:
                await self._open()
            yield
        except (nats.errors.Error, OSError) as error:
            unavailable = _unavailable(error)
            if not self.trouble or self.trouble == NOT_OPENED:
                log.warning("the bucket %s does not serve, and is tried again: %s", self._name, unavailable.message)
            self.trouble = unavailable.message
            raise unavailable from None

    async def _open(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._next_try_s:
            raise Unavailable(self.trouble, retry_after_s=REOPEN_PAUSE_S)
        self._next_try_s = now_s + REOPEN_PAUSE_S
        try:
            there = (await self._jetstream.stream_info(self._stream)).config
        except NotFoundError:
            there = None
        # Looked for first: JetStream refuses to make a stream that exists, too, when it has not room for a second one.
        if there is None:
            await self._make()
        elif self._differs(there):
            await self._change()
        self._next_try_s = 0.0
        if self.trouble != NOT_OPENED:
            log.warning("the bucket %s serves again", self._name)
        self.trouble = ""

    async def _make(self) -> None:
        try:
            await self._jetstream.add_stream(self._config)
        except BadRequestError as error:
            if error.err_code != STREAM_EXISTS:  # another one was faster, and has other settings
                raise
            await self._change()

    async def _change(self) -> None:
        """A bucket whose settings can't be had serves as it is: what is stored in it is worth more than they are."""
        try:
            await self._jetstream.update_stream(self._config)
        except APIError as error:
            log.warning("the bucket %s keeps the settings that it has: %s", self._name, error.description or error)

    def _differs(self, there: StreamConfig) -> bool:
        wanted = self._config
        return (there.max_age, there.max_bytes, there.num_replicas, there.discard) != (
            wanted.max_age,
            wanted.max_bytes,
            wanted.num_replicas,
            wanted.discard,
        )

    @property
    def _jetstream(self) -> JetStreamContext:
        return self._bus.jetstream(ANSWER_S)


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, ServiceUnavailableError) and not error.description:
        return Unavailable("the NATS server has no JetStream", retry_after_s=1.0)
    return Unavailable(f"JetStream does not serve ({error or type(error).__name__})", retry_after_s=1.0)
