"""A JetStream key-value bucket holds what must outlive a process. Beside the bus the only module that knows NATS.

The bucket is a stream in the shape that NATS's own tools know (`nats kv ls NAME`), made by hand for one thing that they
would not do: when it is full the oldest entry gives way, instead of the newest being refused.
Source: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-8.md
"""

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, Header, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from xylem.shared.protocol.subjects import bucket_key, bucket_stream
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable

ANSWER_S = 2.0  # nobody waits longer for the server to have stored, or found, something
HEAD_BYTES = 1024  # of a message, beside the value
STREAM_EXISTS = 10058  # with other settings
STALE = 10071


class Stale(Exception):
    """Somebody else has written the key, or removed it, since it was read."""


class Bucket:
    """Values by key. A key's revision grows with every write of it. All raise Unavailable when JetStream is not there.

    ttl_s: how long a value is kept; max_bytes: of all together, on disk; replicas: on how many servers of a cluster.
    """

    def __init__(self, bus: Bus, name: str, *, ttl_s: float, max_bytes: int, replicas: int) -> None:
        self._bus = bus
        self._name = name
        self._stream = bucket_stream(name)
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
        """Makes the bucket, or gives the one that is there these settings."""
        try:
            try:
                await self._jetstream.add_stream(self._config)
            except BadRequestError as error:
                if error.err_code != STREAM_EXISTS:
                    raise
                await self._jetstream.update_stream(self._config)
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from None

    async def get(self, key: str) -> tuple[bytes, int] | None:
        """The value and its revision."""
        try:
            found = await self._jetstream.get_msg(self._stream, subject=bucket_key(self._name, key))
        except NotFoundError:
            return None
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from None
        return found.data or b"", int(found.seq)

    async def put(self, key: str, value: bytes, revision: int) -> int:
        """Writes over that revision (0: there is no such key yet) and returns the new one.

        Raises Stale when it is another one by now, and PayloadTooLarge.
        """
        limit = self._bus.max_payload - HEAD_BYTES
        if len(value) > limit:
            raise PayloadTooLarge(f"{key} has {len(value)} bytes, more than the {limit} that a bucket takes")
        headers = {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        try:
            ack = await self._jetstream.publish(bucket_key(self._name, key), value, headers=headers)
        except APIError as error:
            if error.err_code == STALE:
                raise Stale(key) from None
            raise _unavailable(error) from None
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from None
        return int(ack.seq)

    async def remove(self, key: str) -> None:
        """Without a trace; what is not there stays so."""
        try:
            await self._jetstream.purge_stream(self._stream, subject=bucket_key(self._name, key))
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from None

    async def keys(self, pattern: str) -> list[str]:
        """The keys that match; `*` stands for any one part between dots."""
        try:
            found = await self._jetstream.stream_info(self._stream, subjects_filter=bucket_key(self._name, pattern))
        except (nats.errors.Error, OSError) as error:
            raise _unavailable(error) from None
        start = len(bucket_key(self._name, ""))
        return [subject[start:] for subject in found.state.subjects or {}]

    @property
    def _jetstream(self) -> JetStreamContext:
        return self._bus.jetstream(ANSWER_S)


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, ServiceUnavailableError) and not error.description:
        return Unavailable("the NATS server has no JetStream", retry_after_s=1.0)
    return Unavailable(f"JetStream does not serve ({error or type(error).__name__})", retry_after_s=1.0)
