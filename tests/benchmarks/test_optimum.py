"""The bounds: what is known by hand, and that no replay gets more."""

import math

import pytest

from benchmarks.optimum import most_served
from benchmarks.replay import Happened, Moment, Outcome, Replay
from benchmarks.traces import Call, Trace, multi_turn, shared_prefix, tree_of_thought
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy
from xylem.shared.protocol import Capacity
from xylem.shared.protocol.columns import pack

TRACES = {
    "shared-prefix": shared_prefix(5, num_calls=80),
    "multi-turn": multi_turn(5, num_conversations=20),
    "tree-of-thought": tree_of_thought(5, num_tasks=3),
}


def one_after_the_other(*prompts: list[int]) -> tuple[Trace, list[Moment]]:
    trace = [Call(pack(prompt), pack([99]), (), 0.0) for prompt in prompts]
    moments = [Moment(call, what) for call in range(len(trace)) for what in (Happened.ADMITTED, Happened.ENDED)]
    return trace, moments


def replayed(trace: Trace, num_tokens: int, *, prefix_cache: bool = True) -> Outcome:
    core = SchedulerCore("s", SchedulerPolicy(prefix_cache=prefix_cache), plan_epoch=1)
    return Replay(trace, {"s": core}, Capacity(num_tokens // 16, 16, 64, 512)).run()


def test_what_is_used_again_latest_goes_first() -> None:
    a, b, c = [1, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24]
    trace, moments = one_after_the_other(a, b, c, a, b, c)
    assert most_served(trace, moments, math.inf) == 9  # the last token of a prompt is always read
    assert most_served(trace, moments, 4) == 0
    assert most_served(trace, moments, 8) == 7  # c takes the place of the last tokens, and of two that b would use
    assert most_served(trace, moments, 12) == 9


def test_an_answer_serves_the_next_turn_but_for_its_last_token() -> None:
    first = Call(pack([1, 2, 3]), pack([4, 5, 6]), (), 0.0)
    second = Call(pack([1, 2, 3, 4, 5, 6, 7]), pack([8]), (0,), 0.0)
    moments = [Moment(call, what) for call in (0, 1) for what in (Happened.ADMITTED, Happened.ENDED)]
    assert most_served([first, second], moments, math.inf) == 5


@pytest.mark.parametrize("name", TRACES)
def test_no_replay_gets_more_than_the_bounds_and_with_room_nearly_as_much(name: str) -> None:
    trace, ratios = TRACES[name], []
    for num_tokens in (4096, 16384, 131072):
        outcome = replayed(trace, num_tokens)
        served = outcome.num_prompt - outcome.num_read
        clairvoyant = most_served(trace, outcome.moments, num_tokens)
        assert served <= clairvoyant <= most_served(trace, outcome.moments, math.inf)
        assert len(outcome.first_token_s) == len(trace)
        ratios.append(served / clairvoyant)
    assert ratios[-1] > 0.96


def test_without_the_cache_every_token_is_read_and_it_takes_longer() -> None:
    trace = TRACES["shared-prefix"]
    outcome, without = replayed(trace, 131072), replayed(trace, 131072, prefix_cache=False)
    assert without.share == 0
    assert without.tokens_per_s < outcome.tokens_per_s
    assert outcome.num_output == sum(call.num_output for call in trace)
