"""The life of a service: connect, start, ready, drain on SIGTERM, bye.

A service is a class; `run` makes a process of it, `running` runs it inside a test's event loop.
"""

import asyncio
import gc
import json
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from itertools import count
from math import inf
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

from xylem.shared.protocol import Control, ControlReply, Presence, WhoIsThere, subjects
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.presence import ANY_EPOCH, MISSED, Directory
from xylem.shared.runtime.settings import Settings, load_or_exit

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Settings)


class StartupError(Exception):
    """The service can't start; the message is all that its user needs to see."""


class CutOff(Exception):
    """The bus is lost for good. Whoever starts the service again gives it the passwords of now."""


class Service(Generic[S]):
    """Base of the six. Subclasses override start, drain, stop, presence and control, calling super() where said so."""

    kind: ClassVar[str]
    settings_type: ClassVar[type[Settings]]

    bus: Bus
    directory: Directory

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.id = settings.instance
        self.model = settings.model_slug
        # Grows from life to life on one host, so that the older of two is known: of namesakes, and of schedulers.
        self.epoch = _now_ms()
        self._own_epochs = {ANY_EPOCH}  # of heartbeats that may still come back to us
        self.state = "starting"
        self.crashed = False  # set before the end by who knows that a fault is its cause
        self.stopping = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._owned: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Loads and subscribes. The service is ready when this returns. Raises StartupError."""

    async def drain(self) -> None:
        """Takes nothing new and finishes what runs. Cut off after settings.drain_s."""

    async def stop(self) -> None:
        """Releases what start took. The bus is still open."""

    def presence(self) -> Presence:
        """The next heartbeat. Overrides add load to super()'s with msgspec.structs.replace."""
        return Presence(
            kind=self.kind, id=self.id, epoch=self.epoch, model=self.model, state=self.state, crashed=self.crashed
        )

    async def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answers a command of the control subject. Raises ValueError for an unknown one."""
        if command == "ping":
            return {"kind": self.kind, "id": self.id, "state": self.state}
        raise ValueError(f"a {self.kind} knows no command {command!r}")

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]":
        """A task owned by the service: it is cancelled at the end, and an exception in it ends the process."""
        assert self._tasks is not None
        task = self._tasks.create_task(coroutine, name=name)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)
        return task

    async def announce(self) -> None:
        """Sends a heartbeat now."""
        with suppress(Unavailable):  # during an outage nobody hears it; the next one will do
            await self.bus.publish(subjects.presence(self.kind, self.id), self.presence())

    def renew_epoch(self) -> None:
        """Says that this service has forgotten, or may have missed, what was in flight."""
        self._own_epochs.add(self.epoch)
        self.epoch = max(self.epoch + 1, _now_ms())
        self.spawn(self.announce(), name="announce")

    # The rest is the life cycle itself.

    async def _open(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        name = f"{self.kind}.{self.id}"
        try:
            self.bus = await Bus.connect(
                self.settings.nats_url, name, ca_file=self.settings.nats_ca_file, timeout_s=self.settings.connect_s
            )
        except BusError as error:
            raise StartupError(str(error)) from None
        await self._claim_name()
        self.directory = Directory(self.model, heartbeat_s=self.settings.heartbeat_s)
        self.bus.on_epoch(self._on_bus_epoch)
        self.bus.on_loss(self._on_bus_loss)
        await self.bus.listen(subjects.WHO_IS_THERE, WhoIsThere, self._on_who)
        await self.bus.listen(subjects.presence(self.kind, self.id), Presence, self._on_namesake)
        await self.bus.answer(subjects.control(self.kind, self.id), Control, self._on_control, concurrency=4)
        await self.directory.open(self.bus, name)
        self.spawn(self._heartbeat(), name="heartbeat")
        await self.start()
        self.state = "ready"
        await self.bus.barrier()
        await self.announce()
        log.info("%s %s is ready for model %s", self.kind, self.id, self.model)

    async def _claim_name(self) -> None:
        """Raises StartupError when the owner of our name lives, and so answers."""
        try:
            ping = subjects.control(self.kind, self.id)
            await self.bus.request(ping, Control("ping"), ControlReply, timeout_s=MISSED * self.settings.heartbeat_s)
        except Unavailable:
            return
        await self.bus.drain()
        raise StartupError(f"a {self.kind} with the id {self.id} is already here. Set XYLEM_ID to run several")

    async def _close(self) -> None:
        if self.state == "ready":
            self.state = "draining"
            await self.announce()
            try:
                async with asyncio.timeout(self.settings.drain_s):
                    await self.drain()
            except TimeoutError:
                log.warning("%s %s: not all had finished after %g s", self.kind, self.id, self.settings.drain_s)
        self.state = "bye"
        await self.announce()
        await self.stop()
        await self.bus.drain()

    def _cancel(self) -> None:
        for task in list(self._owned):
            task.cancel()

    async def _heartbeat(self) -> None:
        """Tells that we live once a beat, and looks who else does twice: a death is known in 1.5 to 1.75 s."""
        loop = asyncio.get_running_loop()
        heartbeat_s = self.settings.heartbeat_s
        looked_s = loop.time()
        for half in count():
            now_s = loop.time()
            gone_s, looked_s = now_s - looked_s, now_s
            if gone_s > MISSED * heartbeat_s:
                # Stopped or blocked: the others have buried us and gone on without us, and what they said meanwhile
                # has not been heard.
                log.warning("was away for %.1f s", gone_s)
                self.renew_epoch()
            deaf_s = gone_s - heartbeat_s / 2 if self.bus.connected else inf
            self.directory.forgive(now_s, max(deaf_s, 0.0))
            self.directory.expire(now_s)
            if half % 2 == 0:
                await self.announce()
            await asyncio.sleep(heartbeat_s / 2)

    def _on_bus_epoch(self) -> None:
        self.directory.forgive(asyncio.get_running_loop().time())
        self.renew_epoch()
        self.spawn(self._ask_who(), name="who")

    def _on_bus_loss(self, reason: str) -> None:
        self.state = "cut off"  # nothing that runs can be finished
        self.spawn(_fail(f"the NATS server takes us no more: {reason}"), name="loss of the bus")

    async def _ask_who(self) -> None:
        with suppress(Unavailable):
            await self.bus.publish(subjects.WHO_IS_THERE, WhoIsThere(asker=f"{self.kind}.{self.id}"))

    async def _on_who(self, _: WhoIsThere) -> None:
        await self.announce()

    async def _on_namesake(self, other: Presence) -> None:
        """The owner of a name keeps it: whoever has come, or come back, after another one has to go."""
        if other.epoch < self.epoch and other.epoch not in self._own_epochs and other.state != "bye":
            log.error("an older %s with the id %s is here; stopping. Set XYLEM_ID to run several", self.kind, self.id)
            self.stopping.set()

    async def _on_control(self, control: Control) -> ControlReply:
        try:
            detail = await self.control(control.command, json.loads(control.arguments or b"{}"))
        except Exception as error:
            log.warning("control %s: %s", control.command, error)
            return ControlReply(ok=False, detail=json.dumps({"error": str(error)}).encode())
        return ControlReply(ok=True, detail=json.dumps(detail).encode())


async def _fail(reason: str) -> None:
    raise CutOff(reason)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def running(service: Service[Any]) -> AsyncIterator[None]:
    """The service from ready to bye, inside the running event loop. Raises StartupError from its start."""
    async with asyncio.TaskGroup() as tasks:
        try:
            await service._open(tasks)
            yield
        finally:
            if hasattr(service, "bus"):
                await service._close()
            service._cancel()


async def _main(service_type: type[Service[Any]], settings: Settings) -> None:
    service = service_type(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stopping.set)
    telemetry.start(service.kind, service.id, settings.otlp_endpoint)
    try:
        async with running(service):
            gc.freeze()  # what start-up made stays for good; the collector need not look at it again
            await service.stopping.wait()
    finally:
        telemetry.stop()


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Runs on uvloop, which there is for every system but Windows."""
    if sys.platform == "win32":
        asyncio.run(main)
    else:
        import uvloop

        uvloop.run(main)


def run(service_type: type[Service[Any]]) -> NoReturn:
    """The process of a service. Exits with 0 after a drain, 1 when it could not start or failed, 2 on bad settings."""
    settings = load_or_exit(service_type.settings_type)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)-7s {service_type.kind}.{settings.instance} %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("nats", "httpx", "httpcore", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    code = 0
    try:
        _run_loop(_main(service_type, settings))
    except* (StartupError, CutOff) as group:
        for error in group.exceptions:
            log.error("%s", error)
        code = 1
    except* Exception:
        log.exception("%s failed", service_type.kind)
        code = 1
    sys.exit(code)  # not inside except*: Python 3.11.2 (Debian 12) would wrap it in a group and print a traceback
