"""Who has broken into one service and has its user on the bus can do its part and no other."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import NatsServer
from tests.one_loop import MODEL, OneLoop, one_loop
from tests.patience import PATIENCE_S
from xylem.shared.protocol import FinishReason, Message, Presence, Refused, TextDeltas, subjects
from xylem.shared.protocol.columns import pack
from xylem.shared.protocol.senders import SAID_TO_GATEWAYS
from xylem.shared.runtime import permissions
from xylem.shared.runtime.presence import ANY_EPOCH

BROKEN = "tokenizer"
PROMPT: dict[str, Any] = {"prompt": "the quick brown fox", "max_tokens": 120}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneLoop]:
    """All services, each as its own user; the stranger has the tokenizer's."""
    passwords = permissions.passwords()
    server = NatsServer(tmp_path_factory.mktemp("nats"), permissions.configuration(passwords))
    server.start()

    def url_of(user: str) -> str:
        return permissions.url_of(server.url, user, passwords[user])

    with one_loop(server.url, tmp_path_factory.mktemp("trust") / "model", url_of, BROKEN) as made:
        yield made
    server.kill()


def presences(kind: str, instance: str, state: str, epoch: int) -> list[tuple[str, Message]]:
    """A forged heartbeat, on the subject that it should have and on that which its sender may use."""
    forged = Presence(kind, instance, epoch, MODEL, state, group="default" if kind == "scheduler" else "")
    return [(subjects.presence(kind, instance), forged), (subjects.presence(BROKEN, "t"), forged)]


def texts(request_ids: list[str]) -> list[tuple[str, Message]]:
    return [
        (
            subjects.gateway("gw", kind),
            TextDeltas(
                detokenizer="d",
                request_ids=(request_id,),
                attempts=pack([0]),
                offsets=pack([offset]),
                counts=pack([1]),
                token_ids=pack([7]),
                texts=("forged",),
                finishes=pack([FinishReason.STOP]),
                num_prompt_tokens=pack([1]),
                num_cached_tokens=pack([0]),
            ),
        )
        for kind in SAID_TO_GATEWAYS
        for request_id in request_ids
        for offset in range(PROMPT["max_tokens"])
    ]


def test_with_the_user_of_one_kind_nothing_is_done_in_the_name_of_another(
    system: OneLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def course() -> None:
        table, bus = system.gateway.context.request_states, system.bus
        untouched = (await system.complete(**PROMPT)).json()
        asked = asyncio.create_task(system.complete(**PROMPT))
        async with asyncio.timeout(PATIENCE_S):
            while not table._request_states:  # noqa: ASYNC110
                await asyncio.sleep(0)
        running = list(table._request_states)
        forged = [
            *presences("executor", "x", "bye", ANY_EPOCH),
            *presences("executor", "x", "bye", system.executor.epoch),
            *presences("executor", "x", "ready", system.executor.epoch + 1),
            *presences("scheduler", "a", "ready", 1),
            *presences("detokenizer", "d", "bye", ANY_EPOCH),
            *texts(running),
            *(
                (subjects.gateway("gw", kind), Refused(each, 0, "invalid_request", "forged"))
                for kind in SAID_TO_GATEWAYS.keys() - {BROKEN}  # to refuse is its part
                for each in running
            ),
        ]
        for subject, message in forged:
            await bus.publish(subject, message)
        await bus.barrier()
        answer = await asked
        assert answer.status_code == 200
        assert answer.json()["choices"] == untouched["choices"]
        assert table.num_resubmitted == 0
        assert (await system.http.get("/ready")).json()["status"] == "ready"
        assert system.scheduler.state == "ready"
        metrics = (await system.http.get("/metrics")).text
        num_dropped = next(
            line.split()[-1] for line in metrics.splitlines() if line.startswith("xylem_dropped_messages_total ")
        )
        assert float(num_dropped) == 5 + PROMPT["max_tokens"] * len(running)

    system.do(course())
    said = [record.getMessage() for record in caplog.records if "dropped a message" in record.getMessage()]
    assert len(said) == len(system.services) + 1  # each hears of presence, and the gateway of text: once
    assert not system.ended()
