"""The bus: the one place that knows core NATS and its rules (what is stored in it: bucket.py).

- One connection per process; callbacks only decode and hand over; publishes of one loop turn leave in one write.
- A barrier is two flushes: nats-py 2.16 writes PING to the socket past what is still pending, so that one flush orders
  nothing. While the first waits for its PONG the pending bytes leave, and the second PING follows them.
- Nothing is buffered during an outage: a publish raises Unavailable, and each reconnection or slow-consumer signal
  begins a new epoch, which means that messages may have been lost.
- A request changes hands by request-reply. Nobody there is known at once.
"""

import asyncio
import logging
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from xylem.shared.protocol import Ack, Message, decode, encode
from xylem.shared.protocol.senders import agrees_with_subject
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable
from xylem.shared.runtime.permissions import inbox, user_of, without_password

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Message)

MIN_SERVER_VERSION = (2, 11)
REFUSED = "authorization violation"
CLOSE_S = 1.0
MAX_DROPPED_SUBJECTS = 1024  # that are told apart; a wildcard hears as many as a sender makes up
PENDING_MESSAGES = 65536  # per subscription; more than that unread is a slow consumer, and a new epoch


class BusError(Exception):
    """The bus can't be used at all: no server, or one that is too old."""


async def _end(task: "asyncio.Task[Any]") -> None:
    # Again and again: nats-py is mostly in wait_for, and that of Python 3.11 may swallow a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)
    if not task.cancelled():
        task.exception()  # has been raised, or came too late


class _Client(Client):
    """nats-py takes TLS only where the server asks for it: whoever stands in between could ask for the password."""

    tls_expected = False

    def _connect_command(self) -> bytes:
        if self.tls_expected and not self._server_info.get("tls_required"):
            raise nats.errors.Error("it offers no TLS, which is a must here")
        return bytes(super()._connect_command())


class Bus:
    """A connection to NATS. `epoch` goes up whenever messages may have been lost."""

    def __init__(self) -> None:
        self._client = _Client()
        self._last_error: Exception | None = None
        self._entered = False
        self._epoch_callbacks: list[Callable[[], None]] = []
        self._loss_callbacks: list[Callable[[str], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._draining = False
        # Messages that were not believed, by subject, and what the server refused us, by its reason.
        self.dropped: Counter[str] = Counter()
        self.epoch = 0

    @classmethod
    async def connect(cls, url: str, name: str, *, ca_file: str = "", timeout_s: float = 30.0) -> "Bus":
        """Connects to one of the comma-separated servers of `url`, waiting for it up to timeout_s.

        A user and password in the URL say who we are. ca_file (PEM) vouches for the servers; with it, or with tls://
        in the URL, nothing is said to a server without TLS.

        Raises BusError when there is none, it does not let us in, or it is older than MIN_SERVER_VERSION.
        """
        bus = cls()
        where = without_password(url)
        tls = await asyncio.to_thread(_trust, ca_file) if ca_file else None
        bus._client.tls_expected = tls is not None or "tls://" in url
        try:
            await bus._enter(
                bus._client.connect(
                    servers=[server.strip() for server in url.split(",")],
                    name=name,
                    inbox_prefix=inbox(user_of(url)).encode(),
                    tls=tls,
                    error_cb=bus._on_error,
                    reconnected_cb=bus._on_reconnected,
                    disconnected_cb=bus._on_disconnected,
                    closed_cb=bus._on_closed,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=random.uniform(0.1, 0.25),
                    connect_timeout=2,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    drain_timeout=10,
                    pending_size=0,
                ),
                timeout_s,
            )
        except (TimeoutError, nats.errors.Error, OSError) as error:
            await bus._close()
            why = bus._last_error or error
            said = f"{type(why).__name__}: {why}" if str(why) else type(why).__name__
            raise BusError(f"no NATS server at {where} within {timeout_s:g} s ({said})") from None
        bus._entered = True
        version = bus._client.connected_server_version
        if (version.major, version.minor) < MIN_SERVER_VERSION:
            await bus._close()
            wanted = ".".join(map(str, MIN_SERVER_VERSION))
            raise BusError(f"the NATS server at {where} is version {version}; {wanted} or newer is needed")
        return bus

    @property
    def max_payload(self) -> int:
        """Largest message in bytes, as the server says it."""
        return int(self._client.max_payload)

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected)

    def on_epoch(self, callback: Callable[[], None]) -> None:
        """Calls back, on the event loop, each time that messages may have been lost."""
        self._epoch_callbacks.append(callback)

    def on_loss(self, callback: Callable[[str], None]) -> None:
        """Calls back with the reason, once, when no reconnecting will help: the server takes us no more, or we it."""
        self._loss_callbacks.append(callback)

    async def publish(self, subject: str, message: Message) -> None:
        """Sends to whoever listens; silent when nobody does. Raises PayloadTooLarge; Unavailable in an outage."""
        payload = self._payload(message)
        try:
            await self._client.publish(subject, payload)
        except nats.errors.BadSubjectError:
            # A name that came with a message. Nobody can be there: the listener's subject would be as bad.
            raise Unavailable(f"{subject!r} is no subject") from None
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"NATS is not connected ({type(error).__name__})") from None

    async def hand_over(self, subject: str, message: Message, *, timeout_s: float = 2.0) -> None:
        """Gives a request to the next stage and waits until that has it. Raises Unavailable when nobody takes it."""
        await self.request(subject, message, Ack, timeout_s=timeout_s)

    async def request(self, subject: str, message: Message, kind: type[M], *, timeout_s: float = 5.0) -> M:
        """Asks and waits for one reply. Raises Unavailable when nobody is there or nobody answers in time."""
        payload = self._payload(message)
        try:
            reply = await self._client.request(subject, payload, timeout=timeout_s)
        except nats.errors.NoRespondersError:
            raise Unavailable(f"nobody serves {subject}") from None
        except nats.errors.TimeoutError:
            raise Unavailable(f"no answer on {subject} within {timeout_s:g} s") from None
        except nats.errors.BadSubjectError:
            raise Unavailable(f"{subject!r} is no subject") from None
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"NATS is not connected ({type(error).__name__})") from None
        try:
            return decode(reply.data, kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"the answer on {subject} can't be decoded: {error}") from None

    async def listen(self, subject: str, kind: Any, callback: Callable[[Any], Awaitable[None]]) -> None:
        """Calls back with every message of `kind` (a Message class or a union of them), one after the other."""

        async def on_message(msg: Msg) -> None:
            message = self._decoded(msg, kind)
            if message is not None:
                await callback(message)

        await self._subscribe(subject, "", on_message)

    async def answer(
        self,
        subject: str,
        kind: Any,
        callback: Callable[[Any], Awaitable[Message | None]],
        *,
        queue: str = "",
        concurrency: int = 1,
    ) -> None:
        """Answers requests with what the callback returns; None stands for Ack.

        With concurrency > 1 that many callbacks run side by side (then the order of messages is not kept).
        """
        slots = asyncio.Semaphore(concurrency)

        async def reply(msg: Msg, message: Message) -> None:
            try:
                result = await callback(message)
                await self._respond(msg, result or Ack())
            except Exception:
                log.exception("answering %s failed", subject)
            finally:
                slots.release()

        async def on_message(msg: Msg) -> None:
            message = self._decoded(msg, kind)
            if message is None:
                return
            await slots.acquire()
            if concurrency == 1:
                await reply(msg, message)
            else:
                task = asyncio.create_task(reply(msg, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        await self._subscribe(subject, queue, on_message)

    async def _respond(self, msg: Msg, message: Message) -> None:
        try:
            await msg.respond(self._payload(message))
        except (nats.errors.Error, OSError) as error:
            self.log_undelivered(log, "an answer on %s", msg.subject, error)

    def log_undelivered(self, logger: logging.Logger, what: str, where: str, error: Exception) -> None:
        """Warns that `what` (with one %s, for `where`) was not delivered; not in an outage, which is logged once."""
        level = logging.WARNING if self.connected else logging.DEBUG
        logger.log(level, f"{what} is lost: %s", where, error)

    async def leave(self, subject: str) -> None:
        """Takes nothing more from a subject; returns when the callbacks have had all that came before."""
        subscription = self._subscriptions.pop(subject)
        if self.connected:
            try:
                # The barrier first: nats-py's own drain orders nothing, for it flushes only once.
                await self._client._send_unsubscribe(subscription._id)
                await self.barrier()
                await subscription.drain()
            except (nats.errors.Error, OSError) as error:
                log.warning("leaving %s: %s", subject, type(error).__name__)

    async def barrier(self) -> None:
        """Returns when the server has seen everything that was subscribed and published before."""
        # Shielded: a flush that is cancelled leaves nats-py a future that its read loop then trips over.
        await asyncio.shield(self._two_flushes())

    async def _two_flushes(self) -> None:
        await self._client.flush()
        await self._client.flush()

    def jetstream(self, timeout_s: float) -> JetStreamContext:
        """Returns what the server stores, over this connection: for bucket.py alone."""
        return self._client.jetstream(timeout=timeout_s)

    async def drain(self) -> None:
        """Ends all subscriptions, lets callbacks in hand finish, sends what is pending and closes."""
        self._draining = True
        if self.connected:
            try:
                subscriptions = list(self._client._subs.values())
                for subscription in subscriptions:
                    await subscription.unsubscribe()
                await self.barrier()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self.barrier()
            except (nats.errors.Error, OSError) as error:
                log.warning("draining the bus: %s", type(error).__name__)
        await self._close()

    async def _enter(self, connecting: Coroutine[Any, Any, None], timeout_s: float) -> None:
        entering = asyncio.create_task(connecting)
        try:
            await asyncio.wait({entering}, timeout=timeout_s)
            if not entering.done():
                raise TimeoutError
            await entering
        finally:
            await _end(entering)

    async def _close(self) -> None:
        self._draining = True
        closing = asyncio.create_task(self._client.close())
        await asyncio.wait({closing}, timeout=CLOSE_S)
        await _end(closing)  # after a TLS handshake that failed, nats-py waits for ever

    def _payload(self, message: Message) -> bytes:
        payload = encode(message)
        if len(payload) > self.max_payload:
            raise PayloadTooLarge(
                f"the request takes {len(payload)} bytes on the bus, more than the {self.max_payload} that it carries"
            )
        return payload

    def _decoded(self, msg: Msg, kind: Any) -> Message | None:
        try:
            message: Message = decode(msg.data, kind)
        except msgspec.DecodeError as error:
            self._drop(msg.subject, f"it can't be decoded: {error}")
            return None
        if not agrees_with_subject(msg.subject, message):
            self._drop(msg.subject, f"the {type(message).__name__} names another sender")
            return None
        return message

    def _drop(self, subject: str, why: str) -> None:
        """Counts a message that is not believed; the log has the first one of each subject."""
        if not self.dropped[subject]:
            log.error("dropped a message on %s: %s", subject, why)
        self.dropped[subject if len(self.dropped) < MAX_DROPPED_SUBJECTS else "others"] += 1

    async def _subscribe(self, subject: str, queue: str, callback: Callable[[Msg], Awaitable[None]]) -> None:
        async def guarded(msg: Msg) -> None:
            try:
                await callback(msg)
            except Unavailable as error:
                self.log_undelivered(log, "what a message on %s asks for", msg.subject, error)
            except Exception:
                # A message that breaks its handler must not end the subscription.
                log.exception("handling a message on %s failed", subject)

        self._subscriptions[subject] = await self._client.subscribe(
            subject, queue=queue, cb=guarded, pending_msgs_limit=PENDING_MESSAGES
        )

    # The callbacks below run inside nats-py's read loop, which an exception would kill: they only note and pass on.

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, nats.errors.Error | ssl.SSLError) or self._last_error is None:
            self._last_error = error  # what a server says tells more than that it hangs up
        if isinstance(error, nats.errors.SlowConsumerError):
            log.error("slow consumer on %s: messages were dropped", getattr(error, "subject", "?"))
            self._begin_epoch()
        elif "permissions violation" in str(error).lower():
            if not self.dropped[str(error)]:
                log.error("this service may not do what it tried: %s", error)
            self.dropped[str(error)] += 1
        else:
            log.debug("bus: %s: %s", type(error).__name__, error)
            stranger = isinstance(error, ssl.SSLCertVerificationError)
            if self._entered and (stranger or REFUSED in str(error).lower()):
                self._lose(str(error))  # new passwords or a new authority: nats-py would try the old ones for ever

    async def _on_closed(self) -> None:
        self._lose(str(self._client.last_error or "closed"))

    def _lose(self, reason: str) -> None:
        if not self._draining:
            self._draining = True
            for callback in self._loss_callbacks:
                asyncio.get_running_loop().call_soon(callback, reason)

    async def _on_disconnected(self) -> None:
        if not self._draining:
            log.warning("lost the connection to NATS; reconnecting")

    async def _on_reconnected(self) -> None:
        log.warning("connected to NATS again")
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.epoch += 1
        for callback in self._epoch_callbacks:
            asyncio.get_running_loop().call_soon(callback)


def _trust(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise BusError(f"nats_ca_file: {ca_file} can't be used ({error.strerror or error})") from None
