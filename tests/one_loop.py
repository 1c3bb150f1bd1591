"""All six services in one event loop of a thread of its own, in front of a runner that needs no model."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvloop

from tests import tokenizer_kinds
from tests.fake_runner import FakeRunner
from tests.patience import PATIENCE_S
from xylem.services.detokenizer.service import DetokenizerService
from xylem.services.executor.service import ExecutorService
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.services.gateway.service import GatewayService
from xylem.services.router.service import RouterService
from xylem.services.scheduler.service import SchedulerService
from xylem.services.tokenizer.service import TokenizerService
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import Service, running
from xylem.shared.runtime.settings import (
    DetokenizerSettings,
    ExecutorSettings,
    GatewaySettings,
    RouterSettings,
    SchedulerSettings,
    TokenizerSettings,
)

T = TypeVar("T")

MODEL = "one-loop"
HEARTBEAT_S = 0.4  # what a forged heartbeat has brought to life is dead after three


class FakeExecutor(ExecutorService):
    def make_runner(self, card: ModelCard) -> ModelRunner:
        return FakeRunner(vocab_size=card.vocab_size)


class OneLoop:
    """`do` runs a coroutine beside the services; `ended` says which of them did not stay.

    url_of: the URL of each kind's user, and of the `stranger` whose bus is `bus`.
    """

    def __init__(self, url_of: Callable[[str], str], folder: Path, stranger: str = "stranger") -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="services")
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        common: dict[str, Any] = {
            "model": str(folder),
            "served_name": MODEL,
            "heartbeat_s": HEARTBEAT_S,
            "drain_s": 0,
        }
        self.gateway = GatewayService(GatewaySettings(**common, id="gw", port=0, stall_timeout_s=30))
        self.scheduler = SchedulerService(SchedulerSettings(**common, id="s"))
        self.executor = FakeExecutor(ExecutorSettings(**common, grammar_timeout_s=3, id="x"))
        self.services: list[Service[Any]] = [
            self.gateway,
            TokenizerService(TokenizerSettings(**common, id="t")),
            RouterService(RouterSettings(**common, id="r")),
            self.scheduler,
            self.executor,
            DetokenizerService(DetokenizerSettings(**common, id="d")),
        ]
        for service in self.services:
            service.settings.nats_url = url_of(service.kind)
        self.url = url_of(stranger)
        self.bus: Bus
        self.http: httpx.AsyncClient

    def do(self, course: Coroutine[Any, Any, T], timeout_s: float = PATIENCE_S) -> T:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(course, timeout_s), self._loop).result()

    def ended(self) -> dict[str, BaseException | None]:
        """The services that are over, each with the error that ended it."""
        return {kind: task.exception() for kind, task in self._tasks.items() if task.done()}

    async def complete(self, prompt: str = "the quick brown fox", **fields: Any) -> httpx.Response:
        """A proper request."""
        body = {"prompt": prompt, "max_tokens": 5, "temperature": 0, "ignore_eos": True, **fields}
        return await self.http.post("/v1/completions", json=body)

    async def _open(self) -> None:
        ready = {service.kind: asyncio.Event() for service in self.services}
        for service in self.services:
            self._tasks[service.kind] = asyncio.create_task(self._course(service, ready[service.kind]))
        for event in ready.values():
            await event.wait()
        await self.gateway.context.request_states.ready()
        self.bus = await Bus.connect(self.url, "stranger")
        assert self.gateway.server is not None
        self.http = httpx.AsyncClient(base_url=self.gateway.server.url, timeout=PATIENCE_S)

    async def _course(self, service: Service[Any], ready: asyncio.Event) -> None:
        async with running(service):
            ready.set()
            await self._stop.wait()

    async def _close(self) -> None:
        await self.http.aclose()
        await self.bus.drain()
        self._stop.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@contextmanager
def one_loop(
    url: str, folder: Path, url_of: Callable[[str], str] | None = None, stranger: str = "stranger"
) -> Iterator[OneLoop]:
    """Running services, with a model of their own in `folder`."""
    tokenizer_kinds.write_model(
        folder, tokenizer_kinds.byte_level(), context_length=200, chat_template="{{ messages[0].content }}"
    )
    system = OneLoop(url_of or (lambda _: url), folder, stranger)
    with ExitStack() as stack:
        system._thread.start()
        stack.callback(system._loop.close)
        stack.callback(system._thread.join)
        stack.callback(lambda: system._loop.call_soon_threadsafe(system._loop.stop))
        system.do(system._open())
        stack.callback(lambda: system.do(system._close()))
        yield system
