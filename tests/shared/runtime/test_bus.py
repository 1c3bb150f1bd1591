import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from tests.wire_tap import WireTap
from xylem.shared.protocol import Abort, Accepted, Ack, Control, ControlReply, Message, Refused, WhoIsThere, subjects
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable
from xylem.shared.runtime.ports import free_port


def abort(name: str = "r") -> Abort:
    return Abort(request_id=name, attempt=0)


async def test_publish_reaches_listener_of_its_kind(bus: Bus) -> None:
    heard: asyncio.Queue[Abort | Accepted] = asyncio.Queue()
    await bus.listen("t.kinds", Abort | Accepted, heard.put)
    await bus.barrier()
    await bus.publish("t.kinds", Refused(request_id="x", attempt=0, code="c", message="not of the union"))
    await bus.publish("t.kinds", abort("a"))
    assert await asyncio.wait_for(heard.get(), PATIENCE_S) == abort("a")
    assert heard.empty()


async def test_failing_callback_does_not_end_the_subscription(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def callback(message: Abort) -> None:
        heard.put_nowait(message.request_id)
        if message.request_id == "bad":
            raise RuntimeError("on purpose")

    await bus.listen("t.fail", Abort, callback)
    await bus.barrier()
    for name in ("bad", "good"):
        await bus.publish("t.fail", abort(name))
    assert [await asyncio.wait_for(heard.get(), PATIENCE_S) for _ in range(2)] == ["bad", "good"]
    assert "on purpose" in caplog.text


async def test_hand_over_is_acknowledged_and_nobody_is_known_at_once(bus: Bus) -> None:
    async def take(_: Abort) -> None:
        return None

    await bus.answer("t.take", Abort, take, queue="workers")
    await bus.barrier()
    await bus.hand_over("t.take", abort())
    with pytest.raises(Unavailable, match="nobody"):
        await bus.hand_over("t.nobody", abort(), timeout_s=30)


async def test_request_gets_the_reply_and_a_silent_peer_is_unavailable(bus: Bus) -> None:
    never = asyncio.Event()

    async def reply(message: Control) -> ControlReply:
        if message.command == "hang":
            await never.wait()
        return ControlReply(ok=True, detail=message.command.encode())

    await bus.answer("t.ask", Control, reply, concurrency=2)
    await bus.barrier()
    silent = asyncio.create_task(bus.request("t.ask", Control(command="hang"), ControlReply, timeout_s=0.3))
    assert (await bus.request("t.ask", Control(command="ping"), ControlReply)).detail == b"ping"
    with pytest.raises(Unavailable, match="no answer"):
        await silent
    never.set()


async def test_a_message_over_max_payload_is_refused_with_both_sizes(bus: Bus) -> None:
    big = Abort(request_id="x" * (bus.max_payload + 1), attempt=0)
    with pytest.raises(PayloadTooLarge, match=str(bus.max_payload)):
        await bus.publish("t.big", big)


async def test_wire_order_of_subscribe_publish_barrier_and_drain(nats_server: NatsServer) -> None:
    async with WireTap(nats_server.port).open() as tap:
        bus = await Bus.connect(f"nats://127.0.0.1:{tap.port}", "tapped", timeout_s=5)

        async def ignore(_: Abort) -> None:
            pass

        tap.clear()
        await bus.listen("t.wire", Abort, ignore)
        for i in range(3):
            await bus.publish(f"t.wire.{i}", abort())
        await bus.barrier()
        sent = tap.sent
        last_ping = max(i for i, (verb, _) in enumerate(sent) if verb == "PING")
        before = sent[:last_ping]
        assert [s for s in before if s[0] != "PING"] == [
            ("SUB", "t.wire"),
            ("PUB", "t.wire.0"),
            ("PUB", "t.wire.1"),
            ("PUB", "t.wire.2"),
        ]
        # A barrier is two flushes, because the first PING may overtake what was written before it.
        assert sum(verb == "PING" for verb, _ in sent) == 2

        tap.clear()
        await bus.publish("t.last", abort())
        await bus.drain()
        sent = tap.sent
        last_ping = max(i for i, (verb, _) in enumerate(sent) if verb == "PING")
        assert {verb for verb, _ in sent[:last_ping]} == {"PUB", "UNSUB", "PING"}
        assert all(verb == "PING" for verb, _ in sent[last_ping:])


async def test_barrier_makes_subscriptions_count_for_other_connections(bus: Bus, nats_url: str) -> None:
    other = await Bus.connect(nats_url, "other", timeout_s=5)
    try:
        for round_number in range(50):
            heard: asyncio.Queue[Abort] = asyncio.Queue()
            await bus.listen(f"t.barrier.{round_number}", Abort, heard.put)
            await bus.barrier()
            await other.publish(f"t.barrier.{round_number}", abort())
            await asyncio.wait_for(heard.get(), PATIENCE_S)
    finally:
        await other.drain()


async def test_drain_lets_callbacks_in_hand_finish(bus: Bus, nats_url: str) -> None:
    receiver = await Bus.connect(nats_url, "receiver", timeout_s=5)
    begun, go_on, handled = asyncio.Event(), asyncio.Event(), []

    async def callback(message: Abort) -> None:
        begun.set()
        await go_on.wait()
        handled.append(message.request_id)

    await receiver.answer("t.drain", Abort, callback, concurrency=2)
    await receiver.barrier()
    asked = asyncio.create_task(bus.hand_over("t.drain", abort("in hand")))
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    draining = asyncio.create_task(receiver.drain())
    go_on.set()
    await asyncio.wait_for(draining, PATIENCE_S)
    await asked
    assert handled == ["in hand"]


async def test_an_outage_loses_nothing_silently(own_nats_server: NatsServer) -> None:
    bus = await Bus.connect(own_nats_server.url, "outage", timeout_s=5)
    epochs: asyncio.Queue[int] = asyncio.Queue()
    heard: asyncio.Queue[Abort] = asyncio.Queue()
    bus.on_epoch(lambda: epochs.put_nowait(bus.epoch))
    await bus.listen("t.outage", Abort, heard.put)
    await bus.barrier()
    own_nats_server.kill()
    with pytest.raises(Unavailable):
        while True:  # until the client has noticed
            with suppress(Exception):
                await asyncio.wait_for(bus.barrier(), PATIENCE_S)
            await bus.publish("t.outage", abort("during the outage"))
    own_nats_server.start()
    assert await asyncio.wait_for(epochs.get(), PATIENCE_S) == 1
    await bus.barrier()
    await bus.publish("t.outage", abort("after"))
    assert (await asyncio.wait_for(heard.get(), PATIENCE_S)).request_id == "after"
    await bus.drain()


async def test_a_slow_consumer_begins_a_new_epoch(
    bus: Bus, nats_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("xylem.shared.runtime.bus.PENDING_MESSAGES", 4)
    slow = await Bus.connect(nats_url, "slow", timeout_s=5)
    signalled, go_on = asyncio.Event(), asyncio.Event()
    slow.on_epoch(signalled.set)

    async def callback(_: Abort) -> None:
        await go_on.wait()

    await slow.listen("t.slow", Abort, callback)
    await slow.barrier()
    for _ in range(20):
        await bus.publish("t.slow", abort())
    await asyncio.wait_for(signalled.wait(), PATIENCE_S)
    assert slow.epoch >= 1
    assert "slow consumer on t.slow" in caplog.text
    go_on.set()
    await slow.drain()


async def test_no_server_is_a_clear_error() -> None:
    with pytest.raises(BusError, match="no NATS server at"):
        await Bus.connect(f"nats://127.0.0.1:{free_port()}", "nobody", timeout_s=0.3)


async def test_an_old_server_is_refused() -> None:
    old = b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"proto":1,"headers":true}\r\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(old)
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(BusError, match=r"2\.9\.10"):
        await Bus.connect(f"nats://127.0.0.1:{port}", "old", timeout_s=5)
    server.close()


@pytest.mark.parametrize("name", ["", "a b", "a\r\nPUB xy.gw.b 0\r\n\r\n", "*", ">", "a.>", "\x00", "é" * 300])
async def test_a_name_that_makes_no_subject_harms_nobody(bus: Bus, name: str) -> None:
    """Names come with messages: nothing may be delivered to another one, and the connection must outlive it."""
    heard: list[Accepted] = []

    async def hear(message: Accepted) -> None:
        heard.append(message)

    await bus.listen(subjects.gateway("b", "scheduler"), Accepted, hear)
    await bus.barrier()
    with suppress(Unavailable):
        await bus.publish(subjects.gateway(name, "scheduler"), Accepted("stray", 0, "s", 1))
    with pytest.raises(Unavailable):
        await bus.request(subjects.gateway(name, "scheduler"), Ack(), Ack, timeout_s=0.5)
    await bus.publish(subjects.gateway("b", "scheduler"), Accepted("proper", 0, "s", 1))
    await bus.barrier()
    await bus.leave(subjects.gateway("b", "scheduler"))
    assert [message.request_id for message in heard] == ["proper"]
    assert bus.epoch == 0


async def test_an_answer_that_is_no_message_is_nobody_there(bus: Bus) -> None:
    async def reply(msg: Any) -> None:
        await msg.respond(b"\xff\xfe")

    await bus._client.subscribe("xy.garbage", cb=reply)
    with pytest.raises(Unavailable, match="can't be decoded"):
        await bus.request("xy.garbage", Ack(), Ack)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """nats-py waits for its greeting inside a wait_for, which may swallow that somebody else's time is up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody reads
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(BusError, match=r"within 0\.3 s"):
                await Bus.connect(url, "test", timeout_s=0.3)


async def test_an_outage_is_logged_once_and_not_with_each_answer(
    own_nats_server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    asking = await Bus.connect(own_nats_server.url, "asking", timeout_s=5)
    answering = await Bus.connect(own_nats_server.url, "answering", timeout_s=5)
    asked, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def answer(_: Message) -> None:
        asked.release()
        await goes_on.wait()

    await answering.answer("q", WhoIsThere, answer, concurrency=8)
    await answering.barrier()
    asks = [asyncio.create_task(asking.hand_over("q", WhoIsThere("me"), timeout_s=0.2)) for _ in range(8)]
    for _ in asks:
        await asked.acquire()
    own_nats_server.kill()
    await asyncio.gather(*asks, return_exceptions=True)  # by then both know of the outage
    goes_on.set()
    assert {type(each) for each in await asyncio.gather(*asks, return_exceptions=True)} == {Unavailable}
    await answering.drain()
    await asking.drain()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len([text for text in said if "lost the connection" in text]) <= 2
    assert not [text for text in said if "answer" in text]
