from dataclasses import dataclass
from typing import Any

import pytest

from tests.fake_runner import FakeRunner
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.spans import SequenceSpans
from xylem.shared.protocol import Plan
from xylem.shared.runtime import telemetry

MS = 1_000_000


@dataclass
class Recorded:
    name: str
    parent: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    spans: list[Recorded] = []

    def record(name: str, parent: str, start_ns: int, end_ns: int, **attributes: Any) -> str:
        spans.append(Recorded(name, parent, start_ns, end_ns, attributes))
        return ""

    monkeypatch.setattr(telemetry, "record", record)
    return spans


class Stepping:
    """An engine whose step n begins at (n + 1) times 10 ms and takes 4 ms."""

    def __init__(self) -> None:
        self.spans = SequenceSpans()
        self.engine = Engine(FakeRunner(), max_running=8, token_budget=4, eos_token_ids=(), epoch=EXECUTOR_EPOCH)

    def plan(self, plan: Plan, now_ns: int = 0) -> None:
        self.spans.record_plan(plan, now_ns)
        self.engine.apply(plan)

    def step(self) -> None:
        started_ns = 10 * MS * (1 + self.engine.num_steps)
        output = self.engine.step()
        output.started_ns = started_ns
        output.duration_us = 4000
        self.spans.record_step(output)


def test_a_sequence_has_a_prefill_and_a_decode_span(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.step()
    stepping.plan(plan(0, admit(1, range(6), range(4), num_cached=4, max_new_tokens=3, trace="parent")))
    for _ in range(4):
        stepping.step()
    assert recorded == [
        Recorded(
            "prefill",
            "parent",
            20 * MS,
            34 * MS,
            {"prompt_tokens": 10, "cached_tokens": 4, "chunks": 2, "outcome": "read"},
        ),
        Recorded("decode", "parent", 34 * MS, 54 * MS, {"output_tokens": 3, "steps": 2, "outcome": "length"}),
    ]


def test_prefill_begins_where_the_admit_was_applied_even_if_the_prompt_waits(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.plan(plan(0, admit(1, range(8), range(4)), admit(2, [1], [9], max_new_tokens=1, trace="t")))
    for _ in range(3):
        stepping.step()
    prefill, decode = recorded
    assert (prefill.start_ns, prefill.end_ns, prefill.attributes["chunks"]) == (10 * MS, 34 * MS, 1)
    assert (decode.start_ns, decode.end_ns, decode.attributes["steps"]) == (34 * MS, 34 * MS, 0)


def test_a_step_from_before_the_plan_does_not_count(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.plan(plan(0, admit(1, [1], range(4), max_new_tokens=9)))
    news = plan(1, admit(2, [1], [9], max_new_tokens=1, trace="t"))
    stepping.spans.record_plan(news, 0)  # offered, and applied after the step in hand
    stepping.step()
    stepping.engine.apply(news)
    stepping.step()
    assert recorded[0].start_ns == 20 * MS


def test_a_drop_ends_the_span_of_the_moment(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.plan(
        plan(0, admit(1, [1], range(4), max_new_tokens=9, trace="t"), admit(2, range(9), [5, 6, 7], trace="u"))
    )
    stepping.step()
    stepping.step()
    stepping.plan(plan(1, drops=[1, 2]), 99 * MS)
    stepping.step()
    assert [(span.name, span.parent, span.end_ns, span.attributes["outcome"]) for span in recorded] == [
        ("prefill", "t", 14 * MS, "read"),
        ("decode", "t", 99 * MS, "dropped"),
        ("prefill", "u", 99 * MS, "dropped"),
    ]


def test_a_sequence_without_a_trace_leaves_none(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.plan(plan(0, admit(1, [1], [0], max_new_tokens=2)))
    stepping.step()
    stepping.step()
    assert recorded == []


def test_a_new_plan_epoch_forgets_the_old_ones(recorded: list[Recorded]) -> None:
    stepping = Stepping()
    stepping.plan(plan(0, admit(1, [1], [0], max_new_tokens=3, trace="t")))
    stepping.step()
    recorded.clear()
    stepping.plan(plan(0, epoch=2))
    stepping.step()
    assert recorded == []
