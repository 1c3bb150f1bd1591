"""Everything that runs on this machine for one `xylem serve`: started in order, kept alive, stopped in order."""

import asyncio
import json
import re
import shlex
import time
from collections.abc import Callable, Coroutine
from typing import Any

from xylem.cli.serve.child import Member
from xylem.cli.serve.fleet import Fleet
from xylem.cli.serve.keeper import Keeper, Phase
from xylem.cli.serve.nats_server import OwnServer, greeting, worth_showing
from xylem.cli.serve.ready import wait_until_ready
from xylem.cli.serve.screen import Screen
from xylem.cli.serve.state_file import StateFile

FAILED_START_GRACE_S = 2.0  # nothing has been served yet that could be finished
WRITE_OUT_S = 5.0  # for the gateway, to tell the clients of what it could not finish in time
IDLE_GRACE_S = 5.0  # for services once the gateway is gone: nobody waits for an answer
NATS_GRACE_S = 3.0


class Site:
    """The keepers of all members, and what they tell. Made inside a running event loop."""

    def __init__(
        self,
        fleet: Fleet,
        nats: OwnServer | None,
        screen: Screen,
        state: StateFile,
        mourn: Callable[[Member, bool], Coroutine[Any, Any, None]],
        *,
        is_quiet: bool = False,
    ) -> None:
        """is_quiet: of what the services say, only warnings and errors are shown."""
        self._is_quiet = is_quiet
        self._fleet = fleet
        self._screen = screen
        self._state = state
        self._phase = Phase()
        self._ready = False
        self._nats = nats
        self._nats_keepers = [Keeper(nats.member, self, self._phase)] if nats else []
        self._services = [Keeper(member, self, self._phase) for member in fleet.members]
        self._mourn = mourn  # tells the others that a service has ended
        self._mourning: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop`. Raises StartupFailure or NatsServerError when it never became ready."""
        try:
            await self._until(stop, self._start())
            if not stop.is_set():
                await self._until(stop, asyncio.Event().wait())
        finally:
            self._screen.settle()
            await self._stop()
            self._state.remove()

    def kill(self) -> None:
        """Ends all processes now."""
        for keeper in self._keepers():
            keeper.kill()

    def line(self, member: Member, text: str) -> None:
        if worth_showing(text) if member.kind == "nats" else not (self._is_quiet and _is_detail(text)):
            # The services' own logs name them once more.
            named = f" {member.kind}.{member.environment.get('XYLEM_ID')} "
            self._screen.line(member.name, text.replace(named, " ", 1))
        if " is ready for model " in text:
            # Only for the eye: whether requests can be served is for the gateway to say.
            self._screen.state(member.name, "ready", "")

    def progress(self, member: Member, text: str) -> None:
        self._screen.progress(member.name, text)

    def changed(self, member: Member, state: str, detail: str) -> None:
        self._tell_state()  # first: who reads the line may read the file next
        self._screen.state(member.name, state, detail)

    def ended(self, member: Member, *, crashed: bool) -> None:
        if member.kind != "nats":
            task = asyncio.create_task(self._mourn(member, crashed), name=f"bye of {member.name}")
            self._mourning.add(task)
            task.add_done_callback(self._mourning.discard)

    def _tell_state(self) -> None:
        pids = {keeper.member.name: keeper.child.pid for keeper in self._keepers() if keeper.child is not None}
        self._state.update(pids=pids, ready=self._ready)

    def _keepers(self) -> list[Keeper]:
        return [*self._nats_keepers, *self._services]

    async def _start(self) -> None:
        began_s = time.monotonic()
        if self._nats is not None:
            self._keep(self._nats_keepers[0])
            await greeting(self._nats.port)
            self.changed(self._nats_keepers[0].member, "ready", "")
        for keeper in self._services:
            self._keep(keeper)
        gateway = next(k for k in self._services if k.member.kind == "gateway").member
        await wait_until_ready(self._fleet.url, lambda text: self._screen.progress(gateway.name, text))
        self._phase.starting = False
        self._ready = True
        self._tell_state()
        self._screen.settle()
        self._screen.say(announcement(self._fleet, time.monotonic() - began_s))

    def _keep(self, keeper: Keeper) -> None:
        task = asyncio.create_task(keeper.run(), name=keeper.member.name)
        task.add_done_callback(self._on_end)
        self._tasks.append(task)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _until(self, stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> None:
        """Runs `work` until it ends, `stop` is set, or a member gives up (whose error is raised)."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            for outcome in (self._failure, working):
                if outcome.done():
                    outcome.result()
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _stop(self) -> None:
        """The gateways first, which finish what their clients wait for; NATS last, which the others need for that."""
        if self._tasks:
            gateways = [k for k in self._services if k.member.kind == "gateway"]
            others = [k for k in self._services if k.member.kind != "gateway"]
            drain_s = FAILED_START_GRACE_S if self._phase.starting else self._fleet.drain_s + WRITE_OUT_S
            idle_s = FAILED_START_GRACE_S if self._phase.starting else min(drain_s, IDLE_GRACE_S)
            running = {task.get_name() for task in self._tasks}
            for keepers, grace_s in ((gateways, drain_s), (others, idle_s), (self._nats_keepers, NATS_GRACE_S)):
                await asyncio.gather(*(k.stop(grace_s) for k in keepers if k.member.name in running))
            await asyncio.gather(*self._tasks, *self._mourning, return_exceptions=True)


def _is_detail(text: str) -> bool:
    """Whether a line of a service's log is below a warning; lines that are no log's are not."""
    return bool(re.match(r"[\d-]+ [\d:,]+ (INFO|DEBUG) ", text))


def announcement(fleet: Fleet, took_s: float) -> str:
    """Returns what to print when requests can be sent; the last line is a command that works as it stands.

    With keys it takes the caller's from where `xylem chat` does: none is known here.
    """
    question = {"role": "user", "content": "What is the capital of France?"}
    body = json.dumps({"model": fleet.model_name, "messages": [question]})
    address = f"{fleet.url}/v1/chat/completions"
    trust = shlex.quote(fleet.certificate)
    chat = f"xylem chat --url {fleet.url}" + (f" --ca-file {trust}" if fleet.certificate else "")
    curl = "curl -s" + (f" --cacert {trust}" if fleet.certificate else "")
    key = ' -H "Authorization: Bearer $XYLEM_API_KEY"' if fleet.keyed else ""
    return (
        f"ready after {took_s:.1f} s: {fleet.model_name} on {fleet.url}\n"
        f"try it{' with your key in XYLEM_API_KEY' if fleet.keyed else ''}: {chat}, or\n"
        f"{curl} {address}{key} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
    )
