"""Every service under fire on every subject that it listens on: it stays, and serves a proper request afterwards."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.hostile import Target, assert_ready, fire, volleys
from tests.one_loop import MODEL, OneLoop, one_loop
from xylem.shared import protocol as m
from xylem.shared.protocol import subjects
from xylem.shared.protocol.senders import SAID_TO_GATEWAYS

NAMES = ("r1", "r2", "gw", "d", "x", "s")


@pytest.fixture(scope="module")
def system(nats_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneLoop]:
    with one_loop(nats_url, tmp_path_factory.mktemp("one") / "model") as made:
        yield made


def of_gateway(_: OneLoop) -> list[Target]:
    return [
        Target(subjects.gateway("gw", "scheduler"), (m.Accepted, m.Started, m.Refused), NAMES),
        Target(subjects.gateway("gw", "detokenizer"), (m.TextDeltas, m.Refused), NAMES),
        Target(subjects.gateway("gw", "executor"), (m.Embedded, m.Refused), NAMES),
        Target(subjects.responses("gw"), (m.ResponseCall,), NAMES),
    ]


def of_tokenizer(_: OneLoop) -> list[Target]:
    return [Target(subjects.tokenize(MODEL), (m.Generate, m.Tokenize, m.Detokenize), NAMES)]


def of_router(_: OneLoop) -> list[Target]:
    return [Target(subjects.route(MODEL), (m.Tokenized,), NAMES)]


def of_scheduler(system: OneLoop) -> list[Target]:
    books = system.scheduler.core.executors.get("x")
    step = (books._last_step or 0) + 1 if books else 0
    numbers = (0, 1, step, step + 1, system.executor.epoch, books.plan_epoch if books else 0)
    return [
        Target(subjects.submit(MODEL, "s"), (m.Tokenized,), NAMES),
        Target(subjects.steps(MODEL, "x"), (m.StepReport,), ("x",), numbers),
        Target(subjects.abort(MODEL, "s"), (m.Abort,), NAMES),
        Target(subjects.abort_any(MODEL), (m.Abort,), NAMES),
        Target(subjects.inquire(MODEL, "s"), (m.StatusQuery,), NAMES),
        Target(subjects.adopt(MODEL, "s"), (m.Adopt,), NAMES),
    ]


def of_executor(system: OneLoop) -> list[Target]:
    return [Target(subjects.plan(MODEL, "x"), (m.Plan,), NAMES, (0, 1, 2, system.executor.epoch))]


def of_detokenizer(system: OneLoop) -> list[Target]:
    return [
        Target(subjects.detokenizer(MODEL, "d"), (m.TokenDeltas,), NAMES, (0, 1, 2, system.executor.epoch)),
        Target(subjects.abort(MODEL, "s"), (m.Abort,), NAMES),
        Target(subjects.resume(MODEL, "d"), (m.Resume,), NAMES),
    ]


@pytest.mark.parametrize(
    ("kind", "instance", "targets"),
    [
        ("gateway", "gw", of_gateway),
        ("tokenizer", "t", of_tokenizer),
        ("router", "r", of_router),
        ("scheduler", "s", of_scheduler),
        ("executor", "x", of_executor),
        ("detokenizer", "d", of_detokenizer),
    ],
)
# Without shrinking: a system that has died of one volley says nothing about the next one.
@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_it_serves_after_a_volley(
    system: OneLoop, kind: str, instance: str, targets: Callable[[OneLoop], list[Target]], data: Any
) -> None:
    volley = data.draw(volleys(kind, instance, MODEL, targets(system)))

    async def course() -> None:
        await fire(system.bus, volley)
        await assert_ready(system.bus, kind, instance)
        response = await system.complete()
        assert response.status_code == 200, response.text
        assert response.json()["usage"]["completion_tokens"] == 5

    try:
        system.do(course())
    finally:
        assert not system.ended()


def test_what_is_no_message_is_counted(system: OneLoop) -> None:
    heard = [
        subjects.tokenize(MODEL),
        subjects.route(MODEL),
        subjects.submit(MODEL, "s"),
        subjects.plan(MODEL, "x"),
        subjects.steps(MODEL, "x"),
        subjects.detokenizer(MODEL, "d"),
        *(subjects.gateway("gw", kind) for kind in SAID_TO_GATEWAYS),
    ]

    async def course() -> None:
        await fire(system.bus, [(subject, b"\xc1\x00garbage") for subject in heard])
        # It passes through the same subscriptions, behind the garbage.
        assert (await system.complete()).status_code == 200

    counts = [service.bus.dropped for service in system.services]
    before = {subject: sum(dropped[subject] for dropped in counts) for subject in heard}
    system.do(course())
    for subject in heard:
        assert sum(dropped[subject] for dropped in counts) > before[subject], subject
    assert not system.ended()
