"""Any process may die at any moment, and every stream ends as if nothing had happened."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.books import balanced
from tests.chaos.campaign import Campaign
from tests.chaos.crowd import Crowd, undisturbed
from tests.chaos.faults import HANG, KILL, TERMINATE, Fault
from tests.chaos.reader import Answer
from tests.serving import Served, serving

pytestmark = pytest.mark.timeout(400)

KINDS = ("tokenizer", "router", "detokenizer", "scheduler", "executor", "gateway")
REPLICAS = ",".join(f"{kind}=2" for kind in KINDS)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("scaled"), "--replicas", REPLICAS, "--threads", "1") as served:
        yield served


def urls(served: Served) -> list[str]:
    host, port = served.url.rsplit(":", 1)
    return [served.url, f"{host}:{int(port) + 1}"]


@pytest.fixture(scope="module")
def expected(scaled: Served) -> dict[str, Answer]:
    return asyncio.run(undisturbed(urls(scaled)))


ROUNDS: dict[str, list[tuple[Fault, str]]] = {
    "killed": [(KILL, f"{kind}-0") for kind in KINDS],
    "restarted": [(TERMINATE, f"{kind}-{i}") for kind in KINDS for i in (0, 1)],
    "hung": [(HANG, "executor-1"), (HANG, "scheduler-0")],
    "NATS": [(KILL, "nats-0")],
}


@pytest.mark.parametrize("faults", ROUNDS.values(), ids=ROUNDS.keys())
async def test_every_stream_equals_its_undisturbed_answer(
    scaled: Served, expected: dict[str, Answer], faults: list[tuple[Fault, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    async with Crowd(urls(scaled), expected) as crowd:
        campaign = Campaign(scaled, crowd)
        for fault, victim in faults:
            await campaign.strike(fault, victim)
        await crowd.leave()
    with capsys.disabled():
        print(f"\n{crowd.num_ended} streams, {crowd.num_reconnected} came back\n{campaign.table()}")
    assert not crowd.failures, "\n".join(crowd.failures) + "".join(scaled.output[-80:])
    await balanced(scaled)
