"""The scheduler service on a real bus, with an executor that is simulated on the other side of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from tests.conftest import NatsServer
from tests.otlp_collector import collecting
from tests.patience import PATIENCE_S
from tests.services.scheduler.simulation import Client, SimulatedExecutor, World, expected_output
from xylem.services.scheduler.service import SchedulerService
from xylem.shared.protocol import (
    Abort,
    Accepted,
    Adopt,
    Capacity,
    Control,
    ControlReply,
    Message,
    Plan,
    Presence,
    Refused,
    RequestStatus,
    Started,
    StatusQuery,
    StatusReply,
    Tokenized,
    subjects,
)
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import running
from xylem.shared.runtime.settings import SchedulerSettings

T = TypeVar("T")

MODEL = "demo"
PROMPT = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
CAPACITY = Capacity(num_pages=32, page_size=4, max_running=2, token_budget=16)


class Peers:
    """The gateway and the executor as the scheduler sees them over the bus."""

    def __init__(self, bus: Bus, service: SchedulerService) -> None:
        self.bus, self.service = bus, service
        self.world = World()
        self.executor = SimulatedExecutor(self.world, "x", CAPACITY)
        self.answers: asyncio.Queue[Accepted | Refused] = asyncio.Queue()
        self.started: asyncio.Queue[Started] = asyncio.Queue()
        self.plans: asyncio.Queue[Plan] = asyncio.Queue()
        self.presences: asyncio.Queue[Presence] = asyncio.Queue()
        self.paused = False

    async def open(self) -> None:
        await self.bus.listen(subjects.gateway("gw", "scheduler"), Accepted | Started | Refused, self._on_answer)
        await self.bus.listen(subjects.plan(MODEL, "x"), Plan, self._on_plan)
        await self.bus.listen(subjects.presence("scheduler", self.service.id), Presence, self.presences.put)
        await self.bus.barrier()

    async def _on_answer(self, answer: Accepted | Started | Refused) -> None:
        if isinstance(answer, Started):
            await self.started.put(answer)
        else:
            await self.answers.put(answer)

    async def _on_plan(self, plan: Plan) -> None:
        await self.plans.put(plan)
        self.executor.plans.append(plan)
        if not self.paused:
            await self.run_executor()

    async def run_executor(self) -> None:
        """Steps until nothing moves."""
        self.executor.step(1000)
        while self.executor.reports:
            while self.executor.reports:
                await self.bus.publish(subjects.steps(MODEL, "x"), self.executor.reports.popleft())
            self.executor.step(0)

    async def announce(self, state: str = "ready") -> None:
        presence = Presence("executor", "x", self.executor.epoch, MODEL, state, capacity=CAPACITY)
        await self.bus.publish(subjects.presence("executor", "x"), presence)

    async def join(self) -> None:
        """The executor comes, and the scheduler has seen it."""
        await self.announce()
        while (await self.soon(self.presences)).state != "ready":
            pass
        assert (await self.soon(self.plans)).number == 0

    async def submit(self, client: Client, **fields: Any) -> None:
        self.world.clients[client.id] = client
        request = client.tokenized()
        if "deadline_s" in fields:
            fields["params"] = replace(request.params, deadline_s=fields.pop("deadline_s"))
        await self.send(replace(request, **fields))

    async def send(self, request: Tokenized) -> None:
        await self.bus.hand_over(subjects.submit(MODEL, self.service.id), request)

    async def control(self, command: str) -> dict[str, Any]:
        subject = subjects.control("scheduler", self.service.id)
        reply = await self.bus.request(subject, Control(command), ControlReply)
        assert reply.ok, reply.detail
        detail = json.loads(reply.detail)
        assert isinstance(detail, dict)
        return detail

    async def settled(self, **counts: int) -> dict[str, int]:
        """The executor's counts, once they include these."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found: dict[str, int] = (await self.control("check"))["executors"]["x"]
                if counts.items() <= found.items():
                    return found

    async def soon(self, queue: "asyncio.Queue[T]") -> T:
        return await asyncio.wait_for(queue.get(), PATIENCE_S)

    async def answer(self) -> Accepted | Refused:
        return await self.soon(self.answers)


@asynccontextmanager
async def scheduling(url: str, bus: Bus, gateway_grace_s: float = 10) -> AsyncIterator[Peers]:
    settings = SchedulerSettings(
        model=MODEL,
        nats_url=url,
        id="s",
        heartbeat_s=5,
        grant_ahead_tokens=8,
        drain_s=0.1,
        gateway_grace_s=gateway_grace_s,
    )
    service = SchedulerService(settings)
    peers = Peers(bus, service)
    await peers.open()
    async with running(service):
        yield peers


@pytest.fixture
async def peers(nats_url: str, bus: Bus) -> AsyncIterator[Peers]:
    async with scheduling(nats_url, bus) as made:
        yield made


async def test_it_is_ready_when_it_has_an_executor(peers: Peers) -> None:
    assert (await peers.soon(peers.presences)).state == "starting"
    await peers.submit(Client("early", PROMPT, "", 4))
    refused = await peers.answer()
    assert isinstance(refused, Refused)
    assert refused.code == "unavailable"
    await peers.join()
    assert peers.service.presence().total_pages == 32


async def test_a_request_runs_to_its_end(peers: Peers) -> None:
    await peers.join()
    clients = [Client(f"r{i}", [*PROMPT, i], "", 10) for i in range(6)]
    for client in clients:
        await peers.submit(client)
    for client in clients:
        assert await peers.answer() == Accepted(client.id, 0, "s", 13)
    counts = await peers.settled(running=0, held=0)
    assert counts["cached"] >= 3
    assert (await peers.control("check"))["waiting"] == 0
    for client in clients:
        assert client.output == expected_output(client.prompt, "", 10)
        assert len(client.ends) == 1
    flushed = await peers.control("flush")
    assert flushed["executors"]["x"]["free"] == 32


async def test_an_abort_frees_what_the_request_held(peers: Peers) -> None:
    peers.paused = True
    await peers.join()
    for name, subject in (("r", subjects.abort(MODEL, "s")), ("q", subjects.abort_any(MODEL))):
        await peers.submit(Client(name, PROMPT, "", 10))
        await peers.settled(running=1)
        peers.world.clients[name].ends.append("abort")
        await peers.bus.publish(subject, Abort(name, 0))
        await peers.settled(running=0, held=0)


async def test_a_request_that_waits_past_its_deadline_is_refused(peers: Peers) -> None:
    peers.paused = True
    await peers.join()
    for i in range(3):  # two may run
        deadline_s = time.time() + (1 if i == 2 else 1000)
        await peers.submit(Client(f"r{i}", [*PROMPT[i:], i], "", 4), deadline_s=deadline_s)
    answers = [await peers.answer() for _ in range(4)]
    assert [type(answer) for answer in answers] == [Accepted, Accepted, Accepted, Refused]
    refused = answers[-1]
    assert isinstance(refused, Refused)
    assert (refused.request_id, refused.code) == ("r2", "deadline_exceeded")


async def test_requests_of_an_executor_that_goes_are_refused(peers: Peers) -> None:
    peers.paused = True
    await peers.join()
    await peers.submit(Client("r", PROMPT, "", 4))
    assert isinstance(await peers.answer(), Accepted)
    await peers.announce("bye")
    refused = await peers.answer()
    assert isinstance(refused, Refused)
    assert refused.code == "unavailable"
    while (await peers.soon(peers.presences)).state != "starting":
        pass


async def test_executors_of_another_group_are_left_alone(peers: Peers) -> None:
    other = Presence("executor", "y", 1, MODEL, capacity=Capacity(8, 4, 2, 16, group="other"))
    await peers.bus.publish(subjects.presence("executor", "y"), other)
    await peers.join()
    assert list((await peers.control("check"))["executors"]) == ["x"]


async def test_a_drain_finishes_what_runs(nats_url: str, bus: Bus) -> None:
    async with scheduling(nats_url, bus) as peers:
        peers.paused = True
        await peers.join()
        client = Client("r", PROMPT, "", 6)
        await peers.submit(client)
        await peers.settled(running=1)
        draining = asyncio.create_task(peers.service.drain())
        await peers.submit(Client("late", PROMPT, "", 6))
        messages: list[Message] = [await peers.answer(), await peers.answer()]
        assert isinstance(messages[1], Refused)
        assert not draining.done()
        peers.paused = False
        await peers.run_executor()
        await asyncio.wait_for(draining, PATIENCE_S)
    assert client.output == expected_output(PROMPT, "", 6)


async def test_after_an_outage_of_the_bus_everything_begins_anew(own_nats_server: NatsServer) -> None:
    bus = await Bus.connect(own_nats_server.url, "peers")
    try:
        async with scheduling(own_nats_server.url, bus) as peers:
            peers.paused = True
            await peers.join()
            await peers.submit(Client("r", PROMPT, "", 4))
            assert isinstance(await peers.answer(), Accepted)
            back = asyncio.Event()
            bus.on_epoch(back.set)
            own_nats_server.kill()
            own_nats_server.start()
            await asyncio.wait_for(back.wait(), PATIENCE_S)
            # The executor has seen the outage too. What it says may still come too early for the scheduler.
            peers.executor.begin_anew()
            plan = None
            async with asyncio.timeout(PATIENCE_S):
                while plan is None or plan.executor_epoch != peers.executor.epoch:
                    await peers.announce()
                    with suppress(TimeoutError):
                        plan = await asyncio.wait_for(peers.plans.get(), 0.3)
            assert (plan.number, len(plan.admits)) == (0, 0)
            peers.paused = False
            client = Client("r", PROMPT, "", 4, attempt=1)
            await peers.submit(client)
            await peers.settled(running=0, held=0)
            assert client.output == expected_output(PROMPT, "", 4)
    finally:
        await bus.drain()


async def test_the_gateway_hears_of_the_start_and_may_ask_where_a_request_stands(peers: Peers) -> None:
    peers.paused = True
    await peers.join()
    for i in range(3):  # two may run
        await peers.submit(Client(f"r{i}", [*PROMPT[i:], i], "", 4))
    for i in range(2):
        assert await peers.soon(peers.started) == Started(f"r{i}", 0, "s", "x", peers.executor.epoch)
    question = StatusQuery(("r0", "r2", "r0", "never"), pack([0, 0, 1, 0]))
    standing = await peers.bus.request(subjects.inquire(MODEL, "s"), question, StatusReply)
    states = [RequestStatus(state) for state in unpack(standing.states)]
    assert states == [RequestStatus.RUNNING, RequestStatus.WAITING, RequestStatus.UNKNOWN, RequestStatus.UNKNOWN]
    assert peers.answers.qsize() == 3


async def test_what_a_dead_gateway_wanted_ends_unless_it_is_adopted(nats_url: str, bus: Bus) -> None:
    aborts: asyncio.Queue[Abort] = asyncio.Queue()
    await bus.listen(subjects.all_aborts(MODEL), Abort, aborts.put)
    async with scheduling(nats_url, bus, gateway_grace_s=0.2) as peers:
        peers.paused = True
        await peers.join()
        gateway = Presence("gateway", "gw", 5, MODEL)
        await bus.publish(subjects.presence("gateway", "gw"), gateway)
        for name, prompt in (("dies", PROMPT), ("lives", PROMPT[1:])):
            await peers.submit(Client(name, prompt, "", 10))
            await peers.answer()
        await bus.publish(subjects.adopt(MODEL, "s"), Adopt("lives", 0, "other"))
        await peers.settled(running=2)
        await bus.publish(subjects.presence("gateway", "gw"), msgspec.structs.replace(gateway, state="bye"))
        abort = await peers.soon(aborts)
        assert (abort.request_id, abort.reason) == ("dies", "gateway")
        await peers.settled(running=1)
        assert aborts.empty()


async def test_the_second_scheduler_of_a_group_stands_by_and_takes_over(nats_url: str, bus: Bus) -> None:
    async with scheduling(nats_url, bus) as peers:
        peers.paused = True
        await peers.join()
        await peers.submit(Client("r", PROMPT, "", 10))
        assert isinstance(await peers.answer(), Accepted)
        await peers.settled(running=1)
        young = SchedulerService(peers.service.settings.model_copy(update={"id": "young"}))
        async with running(young):
            await peers.announce()  # for the young one to see
            assert young.presence().state == "standby"
            old_plans = [await peers.soon(peers.plans) for _ in range(peers.plans.qsize())]
            assert {plan.scheduler for plan in old_plans} <= {"s"}
            peers.service.state = "draining"
            await peers.service.announce()
            await asyncio.wait_for(peers.service.drain(), PATIENCE_S)  # it does not wait for what runs
            refused = await peers.answer()
            assert isinstance(refused, Refused)
            assert refused.code == "unavailable"
            plan = await peers.soon(peers.plans)
            assert (plan.scheduler, plan.number, plan.admits) == ("young", 0, ())
            assert young.presence().state == "ready"


async def test_the_older_of_two_schedulers_has_the_executors(nats_url: str, bus: Bus) -> None:
    """Even when it is seen late: whoever was away comes back with a younger epoch, so this one was not."""
    async with scheduling(nats_url, bus) as peers:
        await peers.join()
        older = Presence("scheduler", "older", 1, MODEL, "standby", group="default")
        await bus.publish(subjects.presence("scheduler", "older"), older)
        while (await peers.soon(peers.presences)).state != "standby":
            pass
        await bus.publish(subjects.presence("scheduler", "older"), msgspec.structs.replace(older, state="bye"))
        while (await peers.soon(peers.presences)).state != "ready":
            pass


async def test_the_span_of_the_queue_is_the_parent_of_what_follows(nats_url: str, bus: Bus) -> None:
    with collecting() as collector:
        await asyncio.to_thread(telemetry.start, "scheduler", "s", collector.endpoint)
        try:
            async with scheduling(nats_url, bus) as peers:
                peers.paused = True
                await peers.join()
                parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
                await peers.submit(Client("r", PROMPT, "", 4), trace=parent)
                (admit,) = (await peers.soon(peers.plans)).admits
                await peers.bus.publish(subjects.abort_any(MODEL), Abort("r", 0))
                peers.world.clients["r"].ends.append("abort")
        finally:
            await asyncio.to_thread(telemetry.stop)
        (span,) = collector.spans
    assert (span.name, span.trace_id, span.parent_id) == ("queue", parent[3:35], parent[36:52])
    assert admit.start.trace == f"00-{span.trace_id}-{span.span_id}-01"
    assert span.attributes == {"executor": "x", "prompt_tokens": 12, "cached_tokens": 0}
