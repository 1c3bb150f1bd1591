"""What the core does when others fall silent: a lost plan or report, a gateway that is gone, another scheduler."""

import pytest

from tests.services.scheduler.simulation import Client, SimulatedExecutor, World, limited
from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import Capacity, Tokenized
from xylem.shared.protocol.columns import pack


def request(name: str, tokens: list[int]) -> Tokenized:
    return Tokenized(name, 0, "g", "d", pack(tokens), params=limited(4))


def heard(executor: SimulatedExecutor, **changes: int) -> e.ExecutorHeartbeat:
    said = {"plan_epoch": 7, "plan": 1, "step": 0} | changes
    return e.ExecutorHeartbeat(executor.name, executor.epoch, **said)


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ({}, ""),
        ({"plan": 0}, "plan 1 of epoch 7"),
        ({"plan_epoch": 6, "plan": 5}, "plan 1 of epoch 7"),
        ({"step": 3}, "the report of step 3"),
    ],
)
def test_a_heartbeat_shows_that_the_last_plan_or_report_was_lost(said: dict[str, int], lost: str) -> None:
    world = World()
    executor = world.add_executor()
    world.submit(Client("r", list(range(9)), "", 4))
    world.resubmit = False
    world.core.executors["e"]._last_step = 0
    world.feed(heard(executor, **said))
    world.now += 0.9
    world.feed(heard(executor, **said))
    assert world.core.executors["e"].plan_epoch == 7, "what is on its way is not lost"
    world.now += 0.2
    world.feed(heard(executor, **said))
    assert world.core.executors["e"].plan_epoch == (8 if lost else 7)
    assert world.clients["r"].ends == (["unavailable"] if lost else [])


def test_who_stands_down_refuses_everything() -> None:
    world = World()
    world.resubmit = False
    world.add_executor(max_running=1)
    clients = [world.submit(Client(f"r{i}", [i] * 9, "", 4)) for i in range(3)]
    world.feed(e.StandDown("another one has them"))
    assert [client.ends for client in clients] == [["unavailable"]] * 3
    assert world.core.idle
    assert not world.core.executors


def test_requests_of_a_gateway_that_left_live_on_for_a_while() -> None:
    core = SchedulerCore("s", SchedulerPolicy(gateway_grace_s=10.0), plan_epoch=7)
    core.step([e.ExecutorJoined("e", 9, Capacity(16, 4, 1, 64))], 0.0)
    core.step([e.Submit(request(name, [1, 2, 3])) for name in ("runs", "waits", "adopted")], 0.0)
    core.step([e.GatewayLeft("g")], 1.0)
    core.step([e.AdoptRequest("adopted", 0, "g"), e.Submit(request("later", [1, 2, 3]))], 2.0)
    assert core.next_wake_s() == 11.0
    actions = core.step([], 11.0)
    assert {action.request_id for action in actions if isinstance(action, e.AbortOrphan)} == {"runs", "waits"}
    assert set(core.request_table.requests) == {"adopted", "later"}
    check_integrity(core)
