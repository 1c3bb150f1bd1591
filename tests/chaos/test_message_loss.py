"""Messages that NATS loses: streams end as if nothing had happened."""

import asyncio
import re
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.books import balanced
from tests.chaos.crowd import Crowd, undisturbed
from tests.chaos.fault_proxy import FaultProxy, fault_proxy, next_one, nothing, share
from tests.chaos.reader import Answer
from tests.conftest import NatsServer
from tests.serving import Served, serving

# Everything but heartbeats, whose loss is not the loss of a message but of a second's patience.
TRAFFIC = re.compile(r"xy\.(?!presence|who|ctl).*|_INBOX\..*")
SUBJECTS = {
    "tokenize": r"xy\.[^.]+\.tokenize",
    "route": r"xy\.[^.]+\.route",
    "submit": r"xy\..*\.submit",
    "plan": r"xy\..*\.plan",
    "steps": r"xy\..*\.steps",
    "tokens": r"xy\.[^.]+\.detok\.[^.]+",
    "text": r"xy\.gw\..*",
    "reply": r"_INBOX\..*",
}


def on(pattern: str) -> Callable[[str], bool]:
    wanted = re.compile(pattern)
    return lambda subject: wanted.fullmatch(subject) is not None


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    with fault_proxy(server.port) as made:
        yield made
    server.kill()


@pytest.fixture(scope="module")
def served(proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    flags = ("--nats-url", proxy.url, "--id", "loss", "--replicas", "detokenizer=2,executor=2", "--threads", "1")
    with serving(tmp_path_factory.mktemp("loss"), *flags) as system:
        yield system


@pytest.fixture(scope="module")
def expected(served: Served) -> dict[str, Answer]:
    return asyncio.run(undisturbed([served.url]))


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_the_next_message_is_lost(
    served: Served, proxy: FaultProxy, expected: dict[str, Answer], subject: str
) -> None:
    async with Crowd([served.url], expected, size=4) as crowd:
        await crowd.reading()
        lost = proxy.lost.total()
        proxy.lose = next_one(on(SUBJECTS[subject]))
        await crowd.ended(6)
        await crowd.leave()
    proxy.lose = nothing
    assert proxy.lost.total() == lost + 1
    assert not crowd.failures, "\n".join(crowd.failures) + "".join(served.output[-60:])


async def test_one_in_a_hundred_messages_is_lost(
    served: Served, proxy: FaultProxy, expected: dict[str, Answer]
) -> None:
    lost = proxy.lost.total()
    async with Crowd([served.url], expected) as crowd:
        proxy.lose = share(0.01, 3, lambda subject: TRAFFIC.fullmatch(subject) is not None)
        await crowd.ended(48)
        await crowd.leave()
    proxy.lose = nothing
    assert proxy.lost.total() > lost + 10
    assert not crowd.failures, "\n".join(crowd.failures) + "".join(served.output[-60:])
    await balanced(served, "loss-")


async def test_connections_break(served: Served, proxy: FaultProxy, expected: dict[str, Answer]) -> None:
    async with Crowd([served.url], expected, size=8) as crowd:
        for _ in range(3):
            await crowd.reading()
            proxy.cut()
            await crowd.ended(4)
        await crowd.leave()
    assert not crowd.failures, "\n".join(crowd.failures) + "".join(served.output[-60:])
