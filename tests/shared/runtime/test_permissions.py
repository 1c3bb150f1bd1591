"""The table of permissions, against a real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NatsServer
from tests.patience import PATIENCE_S
from xylem.shared.protocol import Ack, Control, ControlReply, Generate, Message, Plan, Presence, WhoIsThere, subjects
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
