"""What the core decides, case by case."""

from dataclasses import replace

import pytest

from tests.services.scheduler.simulation import Client, World, expected_output, limited
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Capacity, Plan, Refused, StepReport, Tokenized
from xylem.shared.protocol.columns import pack, unpack

STEM = [3, 1, 4, 1, 5, 9, 2, 6] * 8
LONG = 10_000.0


def request(
    name: str, tokens: list[int], *, max_tokens: int = 4, attempt: int = 0, outputs: tuple[int, ...] = (),
    priority: int = 0,
) -> Tokenized:  # fmt: skip
    params = limited(max_tokens, priority=priority)
    return Tokenized(name, attempt, "g", "d", pack(tokens), pack(outputs), params=params)


def core_with(num_pages: int = 16, page_size: int = 4, max_running: int = 8, **numbers: float) -> SchedulerCore:
    core = SchedulerCore("s", replace(SchedulerPolicy(), **numbers), plan_epoch=7)  # type: ignore[arg-type]
    core.step([e.ExecutorJoined("e", 1, Capacity(num_pages, page_size, max_running, 64))], 0.0)
    return core


def refusals(actions: list[e.Action]) -> list[Refused]:
    return [action.message for action in actions if isinstance(action, e.Refuse)]


def plans(actions: list[e.Action]) -> list[Plan]:
    return [action.plan for action in actions if isinstance(action, e.SendPlan)]


def started(actions: list[e.Action]) -> list[str]:
    return [action.message.request_id for action in actions if isinstance(action, e.Start)]


def report(
    step: int, rows: list[tuple[int, int, list[int], int]], *, plan: int = 1, plan_epoch: int = 7, epoch: int = 1
) -> e.Report:
    ids, lengths, tokens, finishes = zip(*rows, strict=True) if rows else ((), (), (), ())
    return e.Report(
        StepReport(
            executor="e",
            epoch=epoch,
            plan_epoch=plan_epoch,
            plan=plan,
            step=step,
            sequence_ids=pack(ids),
            lengths=pack(lengths),
            counts=pack(len(row) for row in tokens),
            token_ids=pack(token for row in tokens for token in row),
            finishes=pack(finishes),
        )
    )


def test_an_executor_is_greeted_with_plan_0_and_a_request_with_an_admit() -> None:
    core = SchedulerCore("s", plan_epoch=7)
    (greeting,) = plans(core.step([e.ExecutorJoined("e", 9, Capacity(16, 4, 8, 64))], 0.0))
    assert (greeting.number, greeting.epoch, greeting.executor_epoch, greeting.admits) == (0, 7, 9, ())
    actions = core.step([e.Submit(request("r", list(range(20))), trace="t")], 0.0)
    (plan,) = plans(actions)
    (admit,) = plan.admits
    assert plan.number == 1
    assert (admit.num_cached, admit.max_new_tokens, admit.offset, admit.copy) == (0, 4, 0, None)
    assert list(unpack(admit.token_ids)) == list(range(20))
    assert len(unpack(admit.pages)) == 6  # 20 tokens, and 3 of the 4 that it draws
    assert list(unpack(admit.start.context_ids)) == list(range(12, 20))
    assert admit.start.trace == "t"
    assert [type(action).__name__ for action in actions] == ["Accept", "Start", "SendPlan"]


@pytest.mark.parametrize(("page_size", "num_tokens"), [(1, 16), (4, 16), (4, 17), (4, 18), (16, 16), (16, 33)])
def test_a_prompt_that_is_cached_as_a_whole_reads_its_last_token_into_a_page_of_its_own(
    page_size: int, num_tokens: int
) -> None:
    world = World()
    world.add_executor(num_pages=96, page_size=page_size)
    prompt = STEM[:num_tokens]
    for name in "ab":
        world.submit(Client(name, prompt, "", 3))
        world.run()
    first, second = world.started
    whole = num_tokens // page_size * page_size
    assert first.num_cached_tokens == 0
    # What lies beyond the last whole page was cached only if the first one's output filled that page.
    assert min(whole, num_tokens - 1) <= second.num_cached_tokens <= num_tokens - 1
    world.check_end()


def test_a_flush_drops_what_is_cached_and_leaves_what_is_in_use() -> None:
    world = World()
    executor = world.add_executor(num_pages=32, page_size=4)
    world.submit(Client("done", [20, 21, 22, 23] * 4, "", 2))
    world.run()
    running = world.submit(Client("running", STEM[:12], "", 8))
    while not running.output:
        world.turn()
    before = check_integrity(world.core)[executor.name]
    assert before["evictable"] >= 4
    world.feed(e.Flush())
    after = check_integrity(world.core)[executor.name]
    assert (after["evictable"], after["running"]) == (0, 1)
    assert after["free"] == before["free"] + before["evictable"]
    assert after["cached"] == before["cached"] - before["evictable"] > 0
    world.run()
    assert running.output == expected_output(running.prompt, "", 8)
    again = world.submit(Client("again", [20, 21, 22, 23] * 4, "", 2))
    world.run()
    assert world.started[-1].message.request_id == again.id
    assert world.started[-1].num_cached_tokens == 0
    world.check_end()


def test_a_match_that_ends_inside_a_page_copies_it() -> None:
    world = World()
    world.add_executor(page_size=4)
    world.submit(Client("a", STEM[:12], "", 1))
    world.run()
    world.submit(Client("b", [*STEM[:10], 40, 41, 42], "", 1))
    world.run()
    assert world.started[1].num_cached_tokens == 10
    assert world.copies == 1
    world.check_end()


@pytest.mark.parametrize("page_size", [1, 4, 16])
def test_requests_with_the_same_prefix_compute_it_once(page_size: int) -> None:
    world = World()
    executor = world.add_executor(num_pages=960 // page_size, page_size=page_size, token_budget=16)
    prefix = STEM[:48]
    for i in range(8):
        world.submit(Client(f"r{i}", [*prefix, 10 + i], "", 2))
    other = world.submit(Client("other", [20, 21, 22], "", 2))
    world.turn()
    assert other.id in [
        item.message.request_id for item in world.started
    ]  # who waits for a prefix holds up nobody else
    world.run()
    read = sum(count for name, count in executor.computed if name != "other")
    assert read == len(prefix) + 8
    world.check_end()


def test_with_the_cache_off_every_prompt_is_read_whole_and_nobody_waits_for_a_prefix() -> None:
    world = World(SchedulerCore("s", SchedulerPolicy(prefix_cache=False), plan_epoch=7))
    executor = world.add_executor(num_pages=100, token_budget=64)
    for i in range(3):
        world.submit(Client(f"r{i}", [*STEM[:15], 10 + i], "", 6))
    assert len(world.started) == 3
    world.run()
    world.submit(Client("again", [*STEM[:15], 10], "", 6))
    world.run()
    assert sum(count for _, count in executor.computed) == 4 * 16
    assert world.core.executors["e"].page_allocator.num_free == 100
    world.check_end()


def test_when_the_one_that_computes_a_prefix_is_aborted_the_next_one_does_it() -> None:
    world = World()
    executor = world.add_executor(num_pages=60, token_budget=8)
    clients = [world.submit(Client(f"r{i}", [*STEM[:40], 10 + i], "", 2)) for i in range(3)]
    world.turn()
    assert [item.message.request_id for item in world.started] == ["r0"]
    world.abort(clients[0])
    assert [item.message.request_id for item in world.started] == ["r0", "r1"]
    world.run()
    assert sum(count for _, count in executor.computed) < 60  # what r0 had read is not read again
    world.check_end()


def test_different_salts_share_nothing() -> None:
    world = World()
    world.add_executor(num_pages=60)
    for i, salt in enumerate(["", "tenant", "tenant"]):
        world.submit(Client(f"r{i}", STEM[:20], salt, 2))
        world.run()
    assert [item.num_cached_tokens for item in world.started] == [0, 0, 19]
    world.check_end()


def test_the_longest_prefix_goes_first_until_somebody_has_aged() -> None:
    core = core_with(num_pages=100, max_running=1, ageing_s=2.0)
    warm = request("warm", STEM[:16], max_tokens=1)
    core.step([e.Submit(warm)], 0.0)
    events = [e.Submit(request("cold", [9] * 12)), e.Submit(request("hot", STEM[:20]))]
    core.step(events, 0.1)
    assert started(core.step([report(0, [(1, 16, [5], 2)])], 0.2)) == ["hot"]
    core.step([e.Submit(request("hotter", STEM[:20]))], 1.0)
    assert started(core.step([report(1, [(2, 20, [5], 2)], plan=2)], 2.3)) == ["cold"]


def test_an_aged_request_that_needs_memory_is_not_overtaken() -> None:
    core = core_with(num_pages=16, grant_ahead_tokens=4, ageing_s=2.0)
    core.step([e.Submit(request("running", [1] * 32, max_tokens=20))], 0.0)
    core.step([e.Submit(request("big", [2] * 50, max_tokens=5))], 0.1)
    assert started(core.step([e.Submit(request("small", [3] * 4, max_tokens=2))], 1.0)) == ["small"]
    assert started(core.step([e.Submit(request("smaller", [4] * 2, max_tokens=2))], 3.0)) == []
    ended = report(0, [(1, 32, [5], 1), (2, 4, [5], 1)], plan=2)
    assert started(core.step([ended], 3.1))[0] == "big"


def test_priority_decides_among_the_young() -> None:
    core = core_with(max_running=1)
    core.step([e.Submit(request("first", [1, 2]))], 0.0)
    low = Tokenized("low", 0, "g", "d", pack([5, 6]), params=limited(1, priority=1))
    high = Tokenized("high", 0, "g", "d", pack([7, 8]), params=limited(1, priority=-1))
    core.step([e.Submit(low), e.Submit(high)], 0.1)
    assert started(core.step([report(0, [(1, 2, [5], 2)])], 0.2)) == ["high"]


def test_unread_prompt_tokens_are_bounded() -> None:
    core = core_with(num_pages=1000, max_running=100)
    events = [e.Submit(request(f"r{i}", [i + 1] * 50)) for i in range(20)]
    assert len(started(core.step(events, 0.0))) == 6  # 4 steps of 64 tokens, and what goes over the border


def test_a_prompt_that_can_never_fit_is_refused_with_both_sizes() -> None:
    (refused,) = refusals(core_with(num_pages=4).step([e.Submit(request("r", [1] * 17))], 0.0))
    assert refused.code == "context_length_exceeded"
    assert "17 tokens" in refused.message
    assert "16 tokens" in refused.message


def test_a_prompt_that_fits_without_all_of_its_max_tokens_ends_at_the_pools_end() -> None:
    world = World()
    world.add_executor(num_pages=4, page_size=4)
    client = world.submit(Client("r", [2, 2, 2, 7], "", 1000))
    world.run()
    expected = expected_output(client.prompt, "", 13)
    assert client.output == expected
    assert client.ends == (["LENGTH"] if len(expected) == 13 else ["STOP"])
    world.check_end()


def test_a_prompt_that_fills_the_pool_draws_one_token() -> None:
    (plan,) = plans(core_with(num_pages=4).step([e.Submit(request("r", [1] * 16))], 0.0))
    assert plan.admits[0].max_new_tokens == 1


def test_a_full_queue_says_when_to_come_again() -> None:
    core = core_with(max_running=1, max_waiting=2)
    core.step([e.Submit(request("running", [1]))], 0.0)
    actions = core.step([e.Submit(request(f"r{i}", [2, i])) for i in range(3)], 0.0)
    (refused,) = refusals(actions)
    assert (refused.request_id, refused.code) == ("r2", "queue_full")
    assert refused.retry_after_s >= 1


def test_a_deadline_ends_the_waiting() -> None:
    core = core_with(max_running=1)
    core.step([e.Submit(request("running", [1]), deadline_s=5.0)], 0.0)
    core.step([e.Submit(request("late", [2, 3]), deadline_s=6.0)], 0.0)
    assert core.next_wake_s() == 6.0
    (refused,) = refusals(core.step([], 6.0))
    assert (refused.request_id, refused.code) == ("late", "deadline_exceeded")
    assert core.next_wake_s() == float("inf")


def test_without_an_executor_nothing_waits() -> None:
    core = SchedulerCore("s", plan_epoch=7)
    assert refusals(core.step([e.Submit(request("r", [1]))], 0.0))[0].code == "unavailable"
    core = core_with(max_running=1)
    core.step([e.Submit(request("running", [1])), e.Submit(request("waiting", [2, 3]))], 0.0)
    refused = refusals(core.step([e.ExecutorLeft("e")], 1.0))
    assert {(item.request_id, item.code) for item in refused} == {
        ("running", "unavailable"),
        ("waiting", "unavailable"),
    }
    assert core.idle


def test_an_executor_that_is_replaced_at_once_keeps_those_that_wait() -> None:
    core = core_with(max_running=1)
    core.step([e.Submit(request("running", [1])), e.Submit(request("waiting", [2, 3]))], 0.0)
    joined = e.ExecutorJoined("e", 2, Capacity(16, 4, 1, 64))
    actions = core.step([e.ExecutorLeft("e"), joined], 1.0)
    assert [item.request_id for item in refusals(actions)] == ["running"]
    (plan,) = plans(actions)
    assert (plan.number, plan.epoch, plan.executor_epoch, started(actions)) == (0, 8, 2, ["waiting"])


def test_a_draining_executor_finishes_but_gets_nothing_new() -> None:
    core = core_with()
    core.step([e.Submit(request("running", [1]))], 0.0)
    capacity = Capacity(16, 4, 8, 64)
    assert not refusals(core.step([e.ExecutorJoined("e", 1, capacity, accepting=False)], 0.1))
    assert refusals(core.step([e.Submit(request("r", [2]))], 0.2))[0].code == "unavailable"
    core.step([report(0, [(1, 1, [5], 2)])], 0.3)
    assert core.idle


def test_a_gap_in_the_reports_begins_a_new_plan_epoch() -> None:
    core = core_with()
    core.step([e.Submit(request("r", [1, 2], max_tokens=9))], 0.0)
    core.step([report(0, [(1, 2, [5], 0)])], 0.1)
    actions = core.step([report(2, [(1, 4, [6], 0)])], 0.2)
    assert [item.code for item in refusals(actions)] == ["unavailable"]
    (plan,) = plans(actions)
    assert (plan.epoch, plan.number, plan.executor_epoch) == (8, 0, 1)
    # What was on its way from the old plan epoch is not believed, and makes no gap.
    assert not core.step([report(3, [(1, 5, [6], 0)])], 0.3)
    core.step([e.Submit(request("r", [1, 2], attempt=1, outputs=(5, 6)))], 0.4)
    assert not refusals(core.step([report(4, [(2, 4, [7], 1)], plan_epoch=8)], 0.5))
    assert core.idle


def test_reports_that_contradict_the_books_begin_anew() -> None:
    core = core_with()
    core.step([e.Submit(request("r", [1, 2], max_tokens=9))], 0.0)
    assert refusals(core.step([report(0, [(1, 5, [5], 0)])], 0.1))  # longer than its tokens
    malformed = StepReport("e", 1, 8, 1, 1, pack([1, 2]), pack([1]), pack([1]), b"", pack([0]))
    core.step([e.Submit(request("r", [1, 2], attempt=1))], 0.2)
    assert refusals(core.step([e.Report(malformed)], 0.3))


def test_a_later_attempt_replaces_an_earlier_one_and_the_earlier_ones_are_ignored() -> None:
    core = core_with()
    core.step([e.Submit(request("r", [1, 2, 3], attempt=1))], 0.0)
    for attempt in (0, 1):
        late = core.step([e.Submit(request("r", [1, 2, 3], attempt=attempt))], 0.1)
        assert late == [e.RequestForgotten("r", attempt)]
    (plan,) = plans(core.step([e.Submit(request("r", [1, 2, 3], attempt=2, outputs=(8,)))], 0.2))
    assert list(unpack(plan.drops)) == [1]
    (admit,) = plan.admits
    assert (admit.sequence_id, admit.offset, admit.max_new_tokens, admit.start.attempt) == (2, 1, 3, 2)
    assert list(unpack(admit.token_ids)) == [1, 2, 3, 8]


def test_aborts() -> None:
    core = core_with(max_running=1)
    core.step([e.Submit(request("running", [1, 2, 3], attempt=1)), e.Submit(request("waiting", [4, 5]))], 0.0)
    assert core.step([e.AbortRequest("unknown", 0), e.AbortRequest("running", 0)], 0.1) == []
    assert core.step([e.AbortRequest("waiting", 0)], 0.2) == [e.RequestForgotten("waiting", 0)]
    (plan,) = plans(core.step([e.AbortRequest("running", 1)], 0.3))
    assert list(unpack(plan.drops)) == [1]
    assert core.idle


def test_an_abort_that_comes_before_its_request_still_counts() -> None:
    core = core_with()
    core.step([e.AbortRequest("r", 0)], 0.0)
    assert core.step([e.Submit(request("r", [1]))], 0.1) == [e.RequestForgotten("r", 0)]
    assert started(core.step([e.Submit(request("r", [1], attempt=1))], 0.2)) == ["r"]


def test_a_request_whose_tokens_are_used_up_draws_the_last_one_again() -> None:
    core = core_with()
    (plan,) = plans(core.step([e.Submit(request("r", [1, 2], max_tokens=3, outputs=(7, 8, 9)))], 0.0))
    (admit,) = plan.admits
    assert (admit.offset, admit.max_new_tokens) == (2, 1)
    assert list(unpack(admit.token_ids)) == [1, 2, 7, 8]
    assert list(unpack(admit.start.output_ids)) == [7, 8]


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        (request("r", []), "prompt"),
        (Tokenized("r", 0, "g", "d", b"abc"), "prompt"),
        (request("r", [1], max_tokens=0), "max_tokens"),
    ],
)
def test_what_makes_no_sense_is_refused(bad: Tokenized, param: str) -> None:
    (refused,) = refusals(core_with().step([e.Submit(bad)], 0.0))
    assert (refused.code, refused.param) == ("invalid_request", param)


def test_a_request_too_large_for_a_plan_is_refused() -> None:
    core = core_with(num_pages=1000, max_plan_bytes=4096)
    assert refusals(core.step([e.Submit(request("r", [1] * 2000))], 0.0))[0].code == "payload_too_large"
    actions = core.step([e.Submit(request(f"s{i}", [i + 1] * 300)) for i in range(3)], 0.1)
    assert started(actions) == ["s0"]  # the others are for the next plans


def test_a_draining_scheduler_takes_nothing_new() -> None:
    core = core_with()
    core.step([e.Submit(request("r", [1]))], 0.0)
    assert refusals(core.step([e.Drain(), e.Submit(request("s", [2]))], 0.1))[0].code == "unavailable"
    assert not core.idle


def test_the_executor_is_chosen_by_cache_against_load() -> None:
    core = SchedulerCore("s", plan_epoch=7)
    capacity = Capacity(200, 4, 8, 64)
    core.step([e.ExecutorJoined("e", 1, capacity), e.ExecutorJoined("f", 1, capacity)], 0.0)

    def where(name: str, tokens: list[int], now: float) -> str:
        actions = core.step([e.Submit(request(name, tokens, max_tokens=1))], now)
        return next(action.message.executor for action in actions if isinstance(action, e.Start))

    assert where("a", STEM, 0.0) == "e"
    assert where("b", [9] * 20, 0.1) == "f"  # e has 64 tokens to read
    core.step([report(0, [(1, 64, [5], 1)])], 0.2)
    assert where("c", STEM, 0.3) == "e"


def test_memory_that_runs_short_retracts_the_youngest_which_goes_on_after_the_acknowledgement() -> None:
    core = core_with(num_pages=4, page_size=4, grant_ahead_tokens=1)
    core.executors["e"].forecast.share = 0.0  # expects nothing to grow
    events = [e.Submit(request("old", [1] * 6, max_tokens=9)), e.Submit(request("young", [2] * 6, max_tokens=9))]
    assert started(core.step(events, 0.0)) == ["old", "young"]
    core.step([report(0, [(1, 6, [5], 0), (2, 6, [6], 0)])], 0.1)
    core.step([report(1, [(1, 7, [5], 0), (2, 7, [6], 0)])], 0.2)
    (plan,) = plans(core.step([report(2, [(1, 8, [5], 0), (2, 8, [6], 0)])], 0.3))
    assert list(unpack(plan.drops)) == [2]
    assert list(unpack(plan.grant_ids)) == [1]
    # Not before the executor says that it has the plan: until then there may be more tokens on the way.
    assert not started(core.step([report(3, [], plan=1)], 0.4))
    actions = core.step([report(4, [(1, 9, [5], 1)], plan=2)], 0.5)
    (again,) = plans(actions)[-1].admits
    assert started(actions) == ["young"]
    assert (again.sequence_id, again.offset, again.max_new_tokens) == (3, 3, 6)
    assert list(unpack(again.start.output_ids)) == [6, 6, 6]
    assert again.num_cached == 4  # its other page was what the old one needed


@pytest.mark.parametrize(("old", "young", "retracted"), [(0, -1, 1), (0, 0, 2), (5, 4, 1), (-1, 0, 2)])
def test_who_goes_last_by_priority_is_preempted_and_of_equals_the_younger(old: int, young: int, retracted: int) -> None:
    core = core_with(num_pages=4, page_size=4, grant_ahead_tokens=1)
    core.executors["e"].forecast.share = 0.0  # expects nothing to grow
    asked = [
        request("old", [1] * 6, max_tokens=9, priority=old),
        request("young", [2] * 6, max_tokens=9, priority=young),
    ]
    for each in asked:
        core.step([e.Submit(each)], 0.0)
    core.step([report(0, [(1, 6, [5], 0), (2, 6, [6], 0)])], 0.1)
    core.step([report(1, [(1, 7, [5], 0), (2, 7, [6], 0)])], 0.2)
    (plan,) = plans(core.step([report(2, [(1, 8, [5], 0), (2, 8, [6], 0)])], 0.3))
    assert list(unpack(plan.drops)) == [retracted]
    assert list(unpack(plan.grant_ids)) == [3 - retracted]


@pytest.mark.parametrize("queue_policy", ["prefix", "fifo"])
def test_the_waiting_start_by_priority(queue_policy: str) -> None:
    core = SchedulerCore("s", replace(SchedulerPolicy(), queue_policy=queue_policy), plan_epoch=7)
    core.step([e.ExecutorJoined("e", 1, Capacity(16, 4, 1, 64))], 0.0)
    core.step([e.Submit(request("first", [9] * 5, max_tokens=1))], 0.0)
    waiting = [("late", 3), ("normal", 0), ("urgent", -2)]
    core.step([e.Submit(request(name, [i] * 5, priority=n, max_tokens=1)) for i, (name, n) in enumerate(waiting)], 0.1)
    order = []
    for step in range(3):
        order += started(core.step([report(step, [(step + 1, 5, [5], 1)], plan=step + 1)], 0.2))
    assert order == ["urgent", "normal", "late"]


def test_the_cache_is_told_to_routers() -> None:
    core = core_with(num_pages=4)
    core.step([e.Submit(request("r", STEM[:9], max_tokens=1))], 0.0)
    actions = core.step([report(0, [(1, 9, [5], 1)])], 0.1)
    (news,) = [action.message for action in actions if isinstance(action, e.PublishCacheEvents)]
    assert (news.epoch, news.sequence, news.inserted, news.evicted) == (7, 0, (pack(STEM[:8]),), ())
    actions = core.step([e.Submit(request("s", [50] * 12, max_tokens=1))], 0.2)
    (news,) = [action.message for action in actions if isinstance(action, e.PublishCacheEvents)]
    assert (news.sequence, news.inserted, news.evicted) == (1, (), (pack(STEM[:8]),))
