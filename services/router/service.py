"""The router on the bus."""

import asyncio
import logging

import msgspec

from xylem.services.router.policy import RouterPolicy
from xylem.services.router.routing_policy import ROUTING_POLICIES
from xylem.shared.protocol import Tokenized, subjects
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.errors import Internal, Unavailable, XylemError, refusal
from xylem.shared.runtime.service import Service
from xylem.shared.runtime.settings import RouterSettings

log = logging.getLogger(__name__)


class RouterService(Service[RouterSettings]):
    """Hands each request to the scheduler that the routing policy prefers, or to the next one if that is gone."""

    kind = "router"
    settings_type = RouterSettings

    def __init__(self, settings: RouterSettings, policy: RouterPolicy | None = None) -> None:
        super().__init__(settings)
        self._policy = policy or RouterPolicy(routing_policy=settings.routing_policy)

    async def start(self) -> None:
        policy = self._policy
        self.routing_policy = ROUTING_POLICIES[policy.routing_policy](policy)
        self._routing: set[asyncio.Task[None]] = set()
        await self.bus.answer(subjects.route(self.model), Tokenized, self._on_tokenized, queue=subjects.QUEUE)

    async def drain(self) -> None:
        await self.bus.leave(subjects.route(self.model))
        await asyncio.gather(*self._routing)

    async def _on_tokenized(self, tokenized: Tokenized) -> None:
        task = self.spawn(self._route(tokenized), name=f"route {tokenized.request_id}")
        self._routing.add(task)
        task.add_done_callback(self._routing.discard)

    async def _route(self, tokenized: Tokenized) -> None:
        span = telemetry.span("route", tokenized.trace, request=tokenized.request_id, attempt=tokenized.attempt)
        try:
            onward = msgspec.structs.replace(tokenized, trace=span.trace)
            scheduler = await self._hand_over(onward)
            span.set(scheduler=scheduler)
        except Exception as error:
            if not isinstance(error, XylemError):
                log.exception("routing %s failed", tokenized.request_id)
            span.error(str(error))
            await self._refuse(tokenized, error)
        finally:
            span.end()

    async def _hand_over(self, tokenized: Tokenized) -> str:
        """Returns the id of the scheduler that took the request. Raises Unavailable when none does."""
        for scheduler in self.routing_policy.select_schedulers(tokenized, self.directory.live("scheduler")):
            try:
                await self.bus.hand_over(subjects.submit(self.model, scheduler), tokenized)
            except Unavailable as error:
                what = f"what scheduler {scheduler} did not take, %s,"
                self.bus.log_undelivered(log, what, tokenized.request_id, error)
            else:
                return scheduler
        raise Unavailable("no scheduler is there to take the request")

    async def _refuse(self, tokenized: Tokenized, error: Exception) -> None:
        known = error if isinstance(error, XylemError) else Internal("the request could not be routed")
        try:
            await self.bus.publish(
                subjects.gateway(tokenized.gateway, self.kind), refusal(known, tokenized.request_id, tokenized.attempt)
            )
        except XylemError as lost:
            # The gateway learns of the outage from its own connection.
            self.bus.log_undelivered(log, "the refusal of %s", tokenized.request_id, lost)
