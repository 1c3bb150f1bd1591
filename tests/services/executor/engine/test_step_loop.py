import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.fake_runner import FakeRunner, predict
from tests.patience import PATIENCE_S
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.engine.step_loop import MAX_UNDELIVERED, LoopEnded, StepLoop
from xylem.services.executor.engine.step_output import StepOutput


class Listener:
    """Collects outputs, and lets a test wait for some."""

    def __init__(self) -> None:
        self.outputs: list[StepOutput] = []
        self._heard = asyncio.Event()

    async def tell(self, output: StepOutput) -> None:
        self.outputs.append(output)
        self._heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    @property
    def token_ids(self) -> list[int]:
        return [token_id for output in self.outputs for token_id in output.token_ids]


class Gaps:
    def __init__(self) -> None:
        self.seen = asyncio.Event()

    def __call__(self) -> None:
        self.seen.set()


AT_EACH_DEPTH = pytest.mark.parametrize("runs_ahead", [False, True], ids=["in step", "one step ahead"])


def engine_of(runner: FakeRunner) -> Engine:
    return Engine(runner, max_running=4, token_budget=16, eos_token_ids=(), epoch=EXECUTOR_EPOCH)


@asynccontextmanager
async def stepping(runner: FakeRunner, gaps: Gaps | None = None) -> AsyncIterator[tuple[StepLoop, Listener]]:
    loop = StepLoop(lambda: engine_of(runner), on_gap=gaps or Gaps())
    listener = Listener()
    await loop.start()
    delivery = asyncio.create_task(loop.deliver(listener.tell))
    try:
        yield loop, listener
    finally:
        delivery.cancel()
        await loop.stop()


@AT_EACH_DEPTH
async def test_steps_follow_one_another_without_further_messages(runs_ahead: bool) -> None:
    async with stepping(FakeRunner(runs_ahead=runs_ahead)) as (loop, listener):
        loop.submit_plan(plan(0, admit(1, [1, 2], range(10), max_new_tokens=30)))
        await listener.until(lambda: len(listener.outputs) == 30)
        assert listener.token_ids == predict([1, 2], 30)[0]
        assert [output.step for output in listener.outputs] == list(range(30))
        assert all(output.started_ns > 0 for output in listener.outputs)


async def test_torch_has_a_thread_of_its_own() -> None:
    async with stepping(FakeRunner()) as (loop, _):
        assert await loop.ask(lambda _: threading.current_thread().name) == "steps"


@AT_EACH_DEPTH
async def test_a_plan_of_drops_alone_is_acknowledged(runs_ahead: bool) -> None:
    async with stepping(FakeRunner(runs_ahead=runs_ahead)) as (loop, listener):
        loop.submit_plan(plan(0, admit(1, [1], [0], max_new_tokens=100)))
        await listener.until(lambda: len(listener.outputs) == 4)  # its page is full
        loop.submit_plan(plan(1, drops=[1]))
        await listener.until(lambda: listener.outputs[-1].plan == 1)
        assert listener.outputs[-1].sequence_ids == []
        assert listener.outputs[-1].num_running == 0


@AT_EACH_DEPTH
async def test_a_gap_forgets_everything_and_is_told_once(runs_ahead: bool) -> None:
    gaps = Gaps()
    async with stepping(FakeRunner(runs_ahead=runs_ahead), gaps) as (loop, listener):
        loop.submit_plan(plan(0, admit(1, [1], [0], max_new_tokens=100)))
        loop.submit_plan(plan(2))
        loop.submit_plan(plan(3, admit(2, [1], [1])))
        await asyncio.wait_for(gaps.seen.wait(), PATIENCE_S)
        assert await loop.ask(lambda engine: engine.num_running) == 0
        loop.reset(EXECUTOR_EPOCH + 1)
        listener.outputs.clear()
        loop.submit_plan(plan(0, admit(5, [9], [0], max_new_tokens=2), epoch=2, executor_epoch=EXECUTOR_EPOCH + 1))
        await listener.until(lambda: len(listener.outputs) == 2)
        assert listener.token_ids == predict([9], 2)[0]
        assert {output.epoch for output in listener.outputs} == {EXECUTOR_EPOCH + 1}


@AT_EACH_DEPTH
async def test_an_exception_in_a_step_ends_the_loop_and_comes_out_of_watch(runs_ahead: bool) -> None:
    async with stepping(FakeRunner(fail_at=3, runs_ahead=runs_ahead)) as (loop, _):
        loop.submit_plan(plan(0, admit(1, [1], range(10), max_new_tokens=30)))
        with pytest.raises(RuntimeError, match="the device broke"):
            await asyncio.wait_for(loop.watch(), PATIENCE_S)
        with pytest.raises(LoopEnded):
            await loop.ask(lambda engine: engine.num_running)


async def test_a_question_on_its_way_hears_of_the_end() -> None:
    async with stepping(FakeRunner()) as (loop, _):

        def breaks(engine: Engine) -> None:
            raise KeyError("a question's own fault")

        with pytest.raises(KeyError):
            await loop.ask(breaks)
        stop = asyncio.create_task(loop.stop())
        answers = await asyncio.gather(*(loop.ask(lambda e: e.num_running) for _ in range(3)), return_exceptions=True)
        await stop
        assert all(answer == 0 or isinstance(answer, LoopEnded) for answer in answers)


async def test_ask_soon_answers_on_the_event_loop() -> None:
    async with stepping(FakeRunner(num_pages=10)) as (loop, _):
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        loop.ask_soon(lambda engine: engine.runner.num_pages, answer.set_result)
        assert await asyncio.wait_for(answer, PATIENCE_S) == 10


async def test_loading_happens_in_the_thread_and_its_error_comes_out_of_start() -> None:
    names: list[str] = []

    def load() -> Engine:
        names.append(threading.current_thread().name)
        raise ValueError("no weights")

    loop = StepLoop(load, on_gap=Gaps())
    with pytest.raises(ValueError, match="no weights"):
        await loop.start()
    await loop.stop()
    assert names == ["steps"]


async def test_a_loop_that_never_started_can_be_stopped() -> None:
    await StepLoop(lambda: engine_of(FakeRunner()), on_gap=Gaps()).stop()


@AT_EACH_DEPTH
async def test_delivered_waits_for_what_was_not_told(runs_ahead: bool) -> None:
    async with stepping(FakeRunner(runs_ahead=runs_ahead)) as (loop, listener):
        loop.submit_plan(plan(0, admit(1, [1], range(10), max_new_tokens=20)))
        while await loop.ask(lambda engine: engine.num_running):
            pass
        await asyncio.wait_for(loop.delivered(), PATIENCE_S)
        assert len(listener.outputs) == 20


async def test_a_listener_that_stands_still_holds_the_steps_up() -> None:
    runner = FakeRunner(num_pages=64)
    loop = StepLoop(lambda: engine_of(runner), on_gap=Gaps())
    await loop.start()
    loop.submit_plan(plan(0, admit(1, [1], range(64), max_new_tokens=200)))
    first = asyncio.Event()
    go_on = asyncio.Event()
    told: list[StepOutput] = []

    async def tell(output: StepOutput) -> None:
        first.set()
        await go_on.wait()
        told.append(output)

    delivery = asyncio.create_task(loop.deliver(tell))
    await first.wait()
    assert runner.steps <= MAX_UNDELIVERED + 1
    go_on.set()
    async with asyncio.timeout(PATIENCE_S):
        while await loop.ask(lambda engine: engine.num_running):
            pass
        await loop.delivered()
    assert len(told) == 200
    delivery.cancel()
    await loop.stop()
    assert threading.active_count() >= 1
    assert not any(thread.name == "steps" for thread in threading.enumerate())
