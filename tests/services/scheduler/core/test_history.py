"""Random histories: whatever happens in whatever order, answers are right, and nothing leaks or hangs."""

import random
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.scheduler.simulation import Client, World
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy
from xylem.services.scheduler.core import events as e

STEMS = [[1 + (stem * 7 + i * i) % 40 for i in range(40)] for stem in range(3)]


@dataclass(frozen=True)
class Prompt:
    stem: int
    shared: int  # tokens of the stem
    own: tuple[int, ...]  # tokens after them
    salt: str
    max_tokens: int
    priority: int

    @property
    def tokens(self) -> list[int]:
        return STEMS[self.stem][: self.shared] + list(self.own)


PROMPTS = st.builds(
    Prompt,
    stem=st.integers(0, 2),
    shared=st.integers(1, 40),
    own=st.lists(st.integers(1, 3), max_size=6).map(tuple),
    salt=st.sampled_from(["", "", "", "tenant"]),
    max_tokens=st.integers(1, 40),
    priority=st.sampled_from([0, 0, 0, 1, -1]),
)
EVENTS = st.one_of(
    st.tuples(st.just("submit"), PROMPTS),
    st.tuples(st.just("submit"), PROMPTS),
    st.tuples(st.just("step"), st.integers(0, 4)),  # with so many plans that have arrived
    st.tuples(st.just("step"), st.integers(0, 4)),
    st.tuples(st.just("step"), st.just(100)),
    st.tuples(st.just("deliver"), st.integers(1, 5)),
    st.tuples(st.just("deliver"), st.just(100)),
    st.tuples(st.just("abort"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 3.0])),
    st.tuples(st.just("trouble"), st.integers(0, 40)),
)
NUM_PAGES = {1: (48, 64, 90), 2: (24, 40), 4: (12, 16, 24), 16: (3, 4, 8)}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    page_size = draw(st.sampled_from(sorted(NUM_PAGES)))
    world = World(
        SchedulerCore(
            "s",
            policy=SchedulerPolicy(
                queue_policy=draw(st.sampled_from(["prefix", "fifo"])),
                ageing_s=2.0,
                prefix_cache=draw(st.sampled_from([True, True, True, False])),
                grant_ahead_tokens=draw(st.sampled_from([1, 8, 64])),
            ),
            plan_epoch=7,
        )
    )
    for name in draw(st.sampled_from(["a", "a", "ab"])):
        world.add_executor(
            name,
            num_pages=draw(st.sampled_from(NUM_PAGES[page_size])),
            page_size=page_size,
            max_running=draw(st.sampled_from([1, 3, 16])),
            token_budget=draw(st.sampled_from([8, 24, 100])),
        )
    return world


def trouble(world: World, number: int) -> None:
    """What happens rarely."""
    executor = list(world.executors.values())[number % len(world.executors)]
    if number == 0:
        world.restart_executor(executor)
    elif number == 1:
        world.restart_executor(executor, silent=True)
    elif number == 2:
        world.lose_report(executor)
    elif number == 3:
        world.feed(e.ExecutorLost())
    elif number == 4:
        world.feed(e.Flush())
    elif number == 5:
        for client in list(world.clients.values()):
            world.feed(e.Submit(client.tokenized())) if not client.ends else None


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(world=worlds(), events=st.lists(st.tuples(st.integers(0, 1), EVENTS), max_size=90))
def test_histories(world: World, events: list[tuple[int, tuple[str, object]]]) -> None:
    executors = list(world.executors.values())
    for which, (what, argument) in events:
        executor = executors[which % len(executors)]
        world.now += 0.01
        if isinstance(argument, Prompt):
            name = f"r{len(world.clients)}"
            prompt = argument
            world.submit(Client(name, prompt.tokens, prompt.salt, prompt.max_tokens, prompt.priority))
        elif isinstance(argument, float):
            world.now += argument
            world.feed()
        else:
            assert isinstance(argument, int)
            if what == "step":
                executor.step(argument)
            elif what == "deliver":
                world.deliver(executor, argument)
            elif what == "abort" and world.clients:
                world.abort(list(world.clients.values())[argument % len(world.clients)])
            elif what == "trouble":
                trouble(world, argument)
    world.run()
    world.check_end()


def long_history(seed: int) -> World:
    """Hundreds of events with much traffic, so that memory is short nearly all the time."""
    chance = random.Random(seed)
    page_size = chance.choice(sorted(NUM_PAGES))
    world = World(
        SchedulerCore(
            "s",
            policy=SchedulerPolicy(
                queue_policy=chance.choice(["prefix", "fifo"]),
                ageing_s=chance.choice([0.1, 2.0]),
                prefix_cache=seed % 10 != 9,
                grant_ahead_tokens=8,
            ),
            plan_epoch=7,
        )
    )
    for name in chance.choice(["a", "ab"]):
        world.add_executor(name, num_pages=chance.choice(NUM_PAGES[page_size]), page_size=page_size, max_running=16)
    executors = list(world.executors.values())
    for _ in range(300):
        executor = chance.choice(executors)
        world.now += 0.01
        what = chance.random()
        if what < 0.15:
            stem = STEMS[chance.randrange(3)][: chance.randint(1, 40)]
            own = [chance.randint(1, 3) for _ in range(chance.randrange(6))]
            name = f"r{len(world.clients)}"
            world.submit(Client(name, stem + own, chance.choice(["", "", "tenant"]), chance.randint(1, 40)))
        elif what < 0.6:
            executor.step(chance.choice([0, 1, 2, 100]))
        elif what < 0.95:
            world.deliver(executor, chance.choice([1, 3, 100]))
        elif what < 0.97 and world.clients:
            world.abort(chance.choice(list(world.clients.values())))
        elif seed % 3 == 0:
            trouble(world, chance.randrange(6))
    world.run()
    world.check_end()
    return world


def test_long_histories() -> None:
    worlds = [long_history(seed) for seed in range(30)]
    # They have been where it is difficult.
    assert sum(world.retractions for world in worlds) > 10
    assert sum(world.copies for world in worlds) > 50
    assert sum(client.attempt for world in worlds for client in world.clients.values()) > 10
    cached = sum(item.num_cached_tokens for world in worlds for item in world.started)
    assert cached > 1000
