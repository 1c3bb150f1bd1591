"""The table of permissions, against a real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.shared.protocol import (
    Accepted,
    Ack,
    Control,
    ControlReply,
    Embedded,
    Generate,
    Message,
    Plan,
    Presence,
    Refused,
    Started,
    StepReport,
    TextDeltas,
    WhoIsThere,
    subjects,
)
from xylem.shared.protocol.columns import pack
from xylem.shared.protocol.senders import SAID_TO_GATEWAYS
from xylem.shared.runtime import permissions
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.errors import Unavailable

PASSWORDS = permissions.passwords()
MODEL = "m"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    started = NatsServer(tmp_path_factory.mktemp("nats"), permissions.configuration(PASSWORDS))
    started.start()
    yield started
    started.kill()


async def connect(server: NatsServer, user: str) -> Bus:
    return await Bus.connect(permissions.url_of(server.url, user, PASSWORDS[user]), user, timeout_s=5)


async def test_nobody_gets_in_without_a_password(server: NatsServer) -> None:
    for url in (server.url, permissions.url_of(server.url, "gateway", "wrong")):
        with pytest.raises(BusError) as error:
            await Bus.connect(url, "stranger", timeout_s=1)
        assert "wrong" not in str(error.value)


SAYS: list[tuple[str, str, Message]] = [
    ("tokenizer", subjects.plan(MODEL, "x"), Plan("s", 1, 0, 1)),
    ("executor", subjects.tokenize(MODEL), Generate("r", 0, "g", "d", "hi")),
    ("gateway", subjects.submit(MODEL, "s"), WhoIsThere("g")),
    ("router", subjects.presence("executor", "x"), Presence("executor", "x", 1, MODEL, "bye")),
    ("detokenizer", subjects.control("scheduler", "s"), Control("flush")),
    ("scheduler", f"{permissions.inbox('gateway')}.stolen.1", Ack()),
    ("tokenizer", subjects.bucket_key(subjects.RESPONSES, "m.r"), Ack()),
    ("executor", subjects.bucket_calls(subjects.RESPONSES)[-1], Ack()),
]


@pytest.mark.parametrize(
    ("user", "subject", "message"), SAYS, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_what_a_kind_may_not_say_is_not_heard(
    server: NatsServer, caplog: pytest.LogCaptureFixture, user: str, subject: str, message: Message
) -> None:
    admin, service = await connect(server, permissions.ADMIN), await connect(server, user)
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(_: Message) -> None:
        await heard.put("it")

    try:
        await admin.listen(subject, type(message), hear)
        await admin.listen(subjects.presence(user, "me"), Presence, hear)
        await admin.barrier()
        epoch = service.epoch
        await service.publish(subject, message)
        await service.publish(subjects.presence(user, "me"), Presence(user, "me", 1, MODEL))
        await service.barrier()
        await asyncio.wait_for(heard.get(), PATIENCE_S)  # its own heartbeat
        await admin.barrier()
        assert heard.empty()
        assert "may not" in caplog.text
        assert service.epoch == epoch
    finally:
        await service.drain()
        await admin.drain()


async def test_nobody_reads_the_answers_of_others(server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    spy, gateway, scheduler = [await connect(server, user) for user in ("router", "gateway", "scheduler")]
    heard: list[Message] = []

    async def hear(message: Message) -> None:
        heard.append(message)

    async def answer(_: Control) -> ControlReply:
        return ControlReply(True)

    try:
        for subject in ("_INBOX.>", f"{permissions.inbox('gateway')}.>", subjects.control("scheduler", "s"), ">"):
            await spy.listen(subject, ControlReply | Control, hear)
        await spy.barrier()
        await scheduler.answer(subjects.control("scheduler", "s"), Control, answer)
        await scheduler.barrier()
        assert (await gateway.request(subjects.control("scheduler", "s"), Control("ping"), ControlReply)).ok
        await spy.barrier()
        assert heard == []
        assert caplog.text.count("may not") >= 4
    finally:
        for bus in (spy, gateway, scheduler):
            await bus.drain()


async def test_an_own_health_check_works_and_no_other(server: NatsServer) -> None:
    service, check = await connect(server, "executor"), await connect(server, "executor")

    async def answer(_: Control) -> ControlReply:
        return ControlReply(True)

    try:
        await service.answer(subjects.control("executor", "x"), Control, answer)
        await service.barrier()
        assert (await check.request(subjects.control("executor", "x"), Control("ping"), ControlReply)).ok
        with pytest.raises(Unavailable):
            await check.request(subjects.control("router", "x"), Control("ping"), ControlReply, timeout_s=0.3)
    finally:
        await service.drain()
        await check.drain()


def test_urls() -> None:
    url = permissions.url_of("nats://127.0.0.1:4222", "gateway", "se-cret")
    assert url == "nats://gateway:se-cret@127.0.0.1:4222"
    assert permissions.user_of(url + ",nats://b:2") == "gateway"
    assert permissions.user_of("nats://127.0.0.1:4222") == ""
    assert permissions.without_password(f"{url}, {url}") == "127.0.0.1:4222,127.0.0.1:4222"


def test_no_two_passwords_are_alike(tmp_path: Path) -> None:
    assert len(set(PASSWORDS.values()) | set(permissions.passwords().values())) == 2 * len(PASSWORDS)


FOR_GATEWAYS: list[Message] = [
    Accepted("r", 0, "s", 1),
    Started("r", 0, "s", "x", 1),
    Refused("r", 0, "internal", "forged"),
    Embedded("r", 0, b"", 1),
    TextDeltas("d", ("r",), pack([0]), pack([0]), pack([0]), pack([0]), ("forged",), pack([0]), pack([0]), pack([0])),
]


async def test_every_kind_says_to_gateways_what_the_table_has_and_nothing_else(server: NatsServer) -> None:
    """Walks every user, subject of a gateway and message; what came is told by the message's type and subject."""
    gateway = await connect(server, "gateway")
    heard: set[tuple[str, str]] = set()
    for kind, types in SAID_TO_GATEWAYS.items():

        async def hear(message: Message, kind: str = kind) -> None:
            heard.add((kind, type(message).__name__))

        await gateway.listen(subjects.gateway("g", kind), types, hear)
    await gateway.barrier()
    for user in permissions.PARTS:
        heard.clear()
        service = await connect(server, user)
        for kind in SAID_TO_GATEWAYS:
            for message in FOR_GATEWAYS:
                await service.publish(subjects.gateway("g", kind), message)
        await service.barrier()
        await gateway.barrier()
        may = SAID_TO_GATEWAYS.get(user)
        assert heard == {(user, type(message).__name__) for message in FOR_GATEWAYS if may and isinstance(message, may)}
        await service.drain()
    await gateway.drain()


async def test_presence_of_a_kind_comes_from_its_users_alone(
    server: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Walks every user, subject of presence and kind in the payload."""
    watching = await connect(server, "gateway")
    heard: list[tuple[str, str]] = []

    async def hear(presence: Presence) -> None:
        heard.append((presence.kind, presence.id))

    await watching.listen(subjects.ALL_PRESENCE, Presence, hear)
    await watching.barrier()
    for user in permissions.PARTS:
        heard.clear()
        service = await connect(server, user)
        for kind in permissions.PARTS:
            for claimed in permissions.PARTS:
                for state in ("ready", "bye"):
                    await service.publish(subjects.presence(kind, "i"), Presence(claimed, "i", 1, MODEL, state))
        await service.publish(subjects.presence(user, "i"), Presence(user, "other", 1, MODEL, "bye"))
        await service.barrier()
        await watching.barrier()
        assert heard == [(user, "i")] * 2
        await service.drain()
    num_forged = len(permissions.PARTS) - 1  # in the name of each other kind, ready and bye, and of another instance
    assert set(watching.dropped.values()) == {2 * num_forged + 1}
    assert caplog.text.count("names another sender") == len(permissions.PARTS)
    await watching.drain()


async def test_reports_are_believed_of_the_executor_whose_subject_it_is(server: NatsServer) -> None:
    scheduler, executor = await connect(server, "scheduler"), await connect(server, "executor")
    heard: list[str] = []

    async def hear(report: StepReport) -> None:
        heard.append(report.executor)

    await scheduler.listen(subjects.steps(MODEL, "x"), StepReport, hear)
    await scheduler.barrier()
    for name in ("y", "x"):
        await executor.publish(subjects.steps(MODEL, "x"), StepReport(name, 1, 1, 0, 0))
    await executor.barrier()
    await scheduler.barrier()
    assert heard == ["x"]
    await executor.drain()
    await scheduler.drain()
