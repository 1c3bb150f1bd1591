"""The executor on the bus: plans in, reports and tokens out, presence with capacity."""

import asyncio
import gc
import logging
import sys
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import msgspec

from xylem.services.executor.engine.engine import NO_PLAN, Engine
from xylem.services.executor.engine.head_gate import head_gates
from xylem.services.executor.engine.step_loop import LoopEnded, StepLoop
from xylem.services.executor.engine.step_output import StepOutput
from xylem.services.executor.model_runner.factory import make_model_runner
from xylem.services.executor.reports import gateway_answers, step_report, token_deltas
from xylem.services.executor.spans import SequenceSpans
from xylem.services.executor.step.grammar_gate import grammar_gates
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.services.executor.structured_output import CompiledGrammar, GrammarBackend, GrammarPolicy
from xylem.services.executor.weights.loader import Progress
from xylem.shared.model_info.end_tokens import end_token_ids
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.protocol import Capacity, Grammar, Message, Plan, Presence, subjects
from xylem.shared.runtime.errors import PayloadTooLarge, Unavailable
from xylem.shared.runtime.service import Service, StartupError
from xylem.shared.runtime.settings import ExecutorSettings

log = logging.getLogger(__name__)

# The event loop and the step thread take turns on one interpreter lock; the usual 5 ms turns double the slowest steps.
SWITCH_INTERVAL_S = 0.0005
NO_STEP = -1


class LoadingStopped(Exception):
    """The service was told to stop while its model was loading."""


class ExecutorService(Service[ExecutorSettings]):
    """One model on one device."""

    kind = "executor"
    settings_type = ExecutorSettings

    def __init__(self, settings: ExecutorSettings) -> None:
        super().__init__(settings)
        self._steps = StepLoop(self._load, on_gap=self.renew_epoch)
        self._spans = SequenceSpans()
        self._grammars: GrammarBackend | None = None
        self._capacity: Capacity | None = None
        self._num_running = 0
        self._num_held_pages = 0
        self._last_plan = (NO_PLAN, NO_PLAN)  # epoch and number of the last one that came
        self._last_step = NO_STEP  # the last one that was told
        self._news = asyncio.Event()  # an output has left, or none will come any more

    def make_runner(self, card: ModelCard) -> ModelRunner:
        """The model, loaded and warm. Called in the step thread."""
        return make_model_runner(card, self.settings, self._stoppable)

    async def start(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        try:
            await self._steps.start()
        except (ModelError, LoadingStopped) as error:
            raise StartupError(str(error)) from None
        except Exception as error:
            log.exception("loading failed")
            raise StartupError(f"can't load {self.settings.model}: {type(error).__name__}: {error}") from error
        self._capacity = await self._steps.ask(self._capacity_of)
        self._steps.reset(self.epoch)
        self.spawn(self._watch(), name="watch the step loop")
        self.spawn(self._steps.deliver(self._publish_step), name="tell steps")
        await self.bus.listen(subjects.plan(self.model, self.id), Plan, self._on_plan)

    async def drain(self) -> None:
        with suppress(LoopEnded):
            while True:
                self._news.clear()
                if await self._steps.ask(lambda engine: engine.num_running) == 0:
                    break
                await self._news.wait()
            await self._steps.delivered()

    async def stop(self) -> None:
        await self._steps.stop()
        if self._grammars is not None:
            await asyncio.to_thread(self._grammars.close)

    def renew_epoch(self) -> None:
        super().renew_epoch()
        self._num_running = 0
        self._last_plan, self._last_step = (NO_PLAN, NO_PLAN), NO_STEP
        self._steps.reset(self.epoch)

    def presence(self) -> Presence:
        presence = super().presence()
        if self._capacity is None:
            return presence
        # Counting is the step thread's business; this heartbeat says what the last one found.
        self._steps.ask_soon(Engine.num_held_pages, self._note_held_pages)
        return msgspec.structs.replace(
            presence,
            running=self._num_running,
            free_pages=self._capacity.num_pages - self._num_held_pages,
            total_pages=self._capacity.num_pages,
            capacity=self._capacity,
            plan_epoch=self._last_plan[0],
            plan=self._last_plan[1],
            step=self._last_step,
        )

    async def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Adds `check`, the engine's counts: an error when its books contradict themselves; `pace`: see StepLoop."""
        if command == "check":
            return await self._steps.ask(_checked)
        if command == "pace":
            return {"in_steps_s": self._steps.in_steps_s, "between_steps_s": self._steps.between_steps_s}
        return await super().control(command, arguments)

    # The executor's life.

    def _load(self) -> Engine:
        """The engine, in the step thread, without a life yet. Raises ModelError."""
        settings = self.settings
        card = settings.load_model_card(with_weights=True)
        runner = self.make_runner(card)
        end_ids = end_token_ids(card)
        self._grammars = GrammarBackend(
            card.path,
            vocab_size=card.vocab_size,
            end_ids=end_ids,
            policy=GrammarPolicy(
                timeout_s=settings.grammar_timeout_s,
                memory_bytes=settings.grammar_bytes,
                cache_bytes=settings.grammar_cache_bytes,
            ),
        )
        gc.collect()  # loading leaves much behind, and what start-up made is about to be frozen
        return Engine(
            runner,
            max_running=settings.max_running,
            token_budget=settings.token_budget,
            eos_token_ids=end_ids,
            context_length=card.context_length,
            gates=[grammar_gates(self._compile), *([] if runner.has_head else [head_gates])],
        )

    def _compile(self, grammar: Grammar, client: str) -> "Future[CompiledGrammar]":
        assert self._grammars is not None
        compiled = self._grammars.compile(grammar, client)
        compiled.add_done_callback(lambda _: self._steps.wake())
        return compiled

    def _stoppable(self, show: Progress) -> Progress:
        def progress(done: int, total: int) -> None:
            if self.stopping.is_set() or self._steps.stopping:
                raise LoadingStopped("stopped while the model was loading")
            show(done, total)

        return progress

    def _capacity_of(self, engine: Engine) -> Capacity:
        return Capacity(
            num_pages=engine.runner.num_pages,
            page_size=engine.runner.page_size,
            max_running=engine.max_running,
            token_budget=engine.token_budget,
            group=self.settings.group,
        )

    def _note_held_pages(self, num_pages: int) -> None:
        self._num_held_pages = num_pages

    async def _watch(self) -> None:
        try:
            await self._steps.watch()
        except BaseException as error:
            self.crashed = not isinstance(error, asyncio.CancelledError)
            raise
        finally:
            self._news.set()

    # Plans in, steps out.

    async def _on_plan(self, plan: Plan) -> None:
        self._steps.submit_plan(plan)  # first: what is wrong with a plan is the engine's to say
        self._spans.record_plan(plan, time.time_ns())
        if plan.executor_epoch == self.epoch:
            self._last_plan = (plan.epoch, plan.number)

    async def _publish_step(self, output: StepOutput) -> None:
        if output.epoch == self.epoch:  # nobody waits for what an earlier life has done
            for detokenizer, deltas in token_deltas(output, self.id):
                await self._publish(subjects.detokenizer(self.model, detokenizer), deltas)
            for gateway, answer in gateway_answers(output):
                await self._publish(subjects.gateway(gateway, self.kind), answer)
            await self._publish(subjects.steps(self.model, self.id), step_report(output, self.id))
            self._last_step = output.step
        self._num_running = output.num_running
        self._spans.record_step(output)
        self._news.set()

    async def _publish(self, subject: str, message: Message) -> None:
        try:
            await self.bus.publish(subject, message)
        except Unavailable:
            pass  # an outage: the new epoch after it tells everybody that steps were lost
        except PayloadTooLarge as error:
            log.error("a step's message was lost: %s", error)


def _checked(engine: Engine) -> dict[str, Any]:
    engine.check_integrity()
    return {
        "epoch": engine.epoch,
        "plan_epoch": engine.plan_epoch,
        "plan": engine.plan_number,
        "steps": engine.num_steps,
        "running": engine.num_running,
        "held_pages": engine.num_held_pages(),
        "total_pages": engine.runner.num_pages,
    }
