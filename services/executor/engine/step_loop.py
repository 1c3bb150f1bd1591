"""The step loop: a thread of its own for torch, and its two doors to the event loop.

Commands (plans, resets, questions) come in through an inbox that the thread looks into between two steps; it waits
there only while there is no work. Outputs go out to a queue of the event loop, which publishes a step while the thread
computes the next one.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from xylem.services.executor.engine.engine import NO_EPOCH, NO_PLAN, Engine, PlanGap
from xylem.services.executor.engine.step_output import StepOutput
from xylem.shared.protocol import Plan

log = logging.getLogger(__name__)

T = TypeVar("T")

Command = Callable[[Engine], bool]  # True when it leaves something to tell

# Steps that the event loop may be behind. It is there to bound memory: in a healthy process it is never reached.
MAX_UNDELIVERED = 32


class LoopEnded(Exception):
    """The step thread is gone and answers nothing."""


class StepLoop:
    """The thread that loads the engine and then makes its steps. Public methods belong to the event loop.

    in_steps_s, between_steps_s: seconds that the thread has spent on steps, and from one to the next of them.
    load: makes the engine, in the thread. on_gap: called on the event loop when a plan did not follow the last one;
    the engine has then forgotten everything and waits for `reset`.
    """

    def __init__(self, load: Callable[[], Engine], *, on_gap: Callable[[], None]) -> None:
        self._load = load
        self._on_gap = on_gap
        self._inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._questions: set[concurrent.futures.Future[Any]] = set()
        self._outbox: asyncio.Queue[StepOutput] = asyncio.Queue()
        self._credits = threading.Semaphore(MAX_UNDELIVERED)
        self._thread = threading.Thread(target=self._main, name="steps", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._loaded = asyncio.Event()
        self._ended = asyncio.Event()
        self._error: BaseException | None = None
        self.stopping = False  # long work in the thread (loading) looks at it too
        self.in_steps_s = 0.0
        self.between_steps_s = 0.0  # with work at hand; what waits for work is not counted

    async def start(self) -> None:
        """Starts the thread; returns when the engine is loaded. Raises whatever loading raised."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await self._loaded.wait()
        if self._error is not None:
            raise self._error

    def submit_plan(self, plan: Plan) -> None:
        """Has the plan applied before the next step."""
        self._inbox.put(lambda engine: self._apply(engine, plan))

    def wake(self) -> None:
        """Has the thread look for work again. From any thread."""
        self._inbox.put(lambda _: False)

    def reset(self, epoch: int) -> None:
        """Has everything forgotten and another life begun, after the plans offered so far."""

        def command(engine: Engine) -> bool:
            engine.reset(epoch)
            return False

        self._inbox.put(command)

    async def ask(self, question: Callable[[Engine], T]) -> T:
        """Asks the engine between two steps and returns its answer. Raises LoopEnded when the thread has ended."""
        if self._ended.is_set():
            raise LoopEnded
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._questions.add(answer)

        def command(engine: Engine) -> bool:
            if not answer.set_running_or_notify_cancel():
                return False  # whoever asked has stopped waiting
            try:
                answer.set_result(question(engine))
            except Exception as error:
                answer.set_exception(error)
            return False

        self._inbox.put(command)
        try:
            return await asyncio.wrap_future(answer)
        finally:
            self._questions.discard(answer)

    def ask_soon(self, question: Callable[[Engine], T], then: Callable[[T], None]) -> None:
        """Like `ask` for who does not wait: the answer goes to `then`, on the event loop."""

        def command(engine: Engine) -> bool:
            self._loop.call_soon_threadsafe(then, question(engine))
            return False

        self._inbox.put(command)

    async def deliver(self, tell: Callable[[StepOutput], Awaitable[None]]) -> None:
        """Gives every output to `tell`, in the order of steps, for ever."""
        while True:
            output = await self._outbox.get()
            try:
                await tell(output)
            finally:
                self._outbox.task_done()
                self._credits.release()

    async def delivered(self) -> None:
        """Returns when all outputs so far were told."""
        await self._outbox.join()

    async def watch(self) -> None:
        """Returns when the thread ends. Raises the exception that ended it."""
        await self._ended.wait()
        if self._error is not None:
            raise self._error

    async def stop(self) -> None:
        """Ends the thread after the step in hand. A loop that was never started is left alone."""
        self.stopping = True
        self.wake()
        self._credits.release()
        if self._thread.is_alive():
            await self._ended.wait()
            self._thread.join()

    # Below: what runs in the thread.

    def _main(self) -> None:
        try:
            engine = self._load()
            self._loop.call_soon_threadsafe(self._loaded.set)
            self._serve(engine)
        except BaseException as error:
            self._error = error
        finally:
            self._loop.call_soon_threadsafe(self._end)

    def _serve(self, engine: Engine) -> None:
        ended_s = time.perf_counter()
        while True:
            had_work = engine.has_work()
            news = self._take(engine, wait=not had_work)
            if self.stopping:
                return
            if news or engine.has_work():
                started_ns = time.time_ns()
                started_s = time.perf_counter()
                if had_work:
                    self.between_steps_s += started_s - ended_s
                output = engine.step()
                ended_s = time.perf_counter()
                self.in_steps_s += ended_s - started_s
                output.started_ns = started_ns
                output.duration_us = int((ended_s - started_s) * 1e6)
                self._credits.acquire()
                self._loop.call_soon_threadsafe(self._outbox.put_nowait, output)

    def _take(self, engine: Engine, *, wait: bool) -> bool:
        """Runs the commands that are there; with `wait`, at least one. True when there is something to tell."""
        news = False
        try:
            while not self.stopping:
                command = self._inbox.get(wait)
                news |= command(engine)
                wait = False
        except queue.Empty:
            pass
        return news and engine.plan_number != NO_PLAN  # a reset leaves nothing to acknowledge

    def _apply(self, engine: Engine, plan: Plan) -> bool:
        try:
            return engine.apply(plan)
        except PlanGap as gap:
            log.warning("starting anew: %s", gap)
            engine.reset(NO_EPOCH)
            self._loop.call_soon_threadsafe(self._on_gap)
            return False

    def _end(self) -> None:
        """On the event loop: nobody will answer any more."""
        self._ended.set()
        self._loaded.set()
        for answer in self._questions:
            if not answer.done():
                answer.set_exception(LoopEnded())
