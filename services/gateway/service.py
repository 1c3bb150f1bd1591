"""The gateway as a service."""

import asyncio
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec

from xylem.services.gateway.api_keys import Keys, KeysError
from xylem.services.gateway.apis.openai_responses.store.archive import Archive
from xylem.services.gateway.apis.openai_responses.store.orphans import OrphanedResponses
from xylem.services.gateway.app import build
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.generation.request_state_table import RequestStateTable
from xylem.services.gateway.generation.served_model import ServedModel
from xylem.services.gateway.http.allowed_hosts import is_loopback
from xylem.services.gateway.http.server import HttpServer, bind
from xylem.services.gateway.http.tls import server_context
from xylem.services.gateway.metrics import Metrics
from xylem.services.gateway.output_parsers import Family, choose
from xylem.services.gateway.policy import GatewayPolicy
from xylem.shared.model_info.chat_templates import template_sources
from xylem.shared.model_info.model_card import ModelCard, ModelError, read_json
from xylem.shared.protocol import Presence
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.service import Service, StartupError
from xylem.shared.runtime.settings import GatewaySettings

log = logging.getLogger(__name__)


class GatewayService(Service[GatewaySettings]):
    kind = "gateway"
    settings_type = GatewaySettings

    context: Context
    responses: Archive
    orphans: OrphanedResponses
    server: HttpServer | None = None

    def __init__(self, settings: GatewaySettings, policy: GatewayPolicy | None = None) -> None:
        super().__init__(settings)
        self._policy = policy or GatewayPolicy()

    async def start(self) -> None:
        """Raises StartupError: no such model, no such keys or certificate, or the port is taken."""
        bound = await bind(self.settings.host, self.settings.port)
        try:
            card, family, keys, tls = await asyncio.to_thread(_load, self.settings)
        except (KeysError, ModelError, StartupError) as error:
            bound.close()
            raise StartupError(str(error)) from None
        request_states = RequestStateTable(self.settings, self._policy, self.bus, self.directory, self.spawn)
        metrics = Metrics(
            schedulers=lambda: self.directory.live("scheduler"),
            num_open=lambda: len(request_states),
            num_resubmitted=lambda: request_states.num_resubmitted,
            num_model_failures=lambda: request_states.num_model_failures,
            num_dropped=self.bus.dropped.total,
            store_trouble=lambda: self.context.store_trouble(),
        )
        self.context = Context(
            settings=self.settings,
            policy=self._policy,
            bus=self.bus,
            request_states=request_states,
            metrics=metrics,
            served_model=ServedModel(
                model=self.settings.model_name,
                context_length=card.context_length,
                vocab_size=card.vocab_size,
                max_choices=self.settings.max_open_requests,
                sampling=card.sampling,
                family=family,
            ),
            card=card,
            created=int(time.time()),
            spawn=self.spawn,
            keys=keys,
        )
        self.responses = Archive(self.context)
        self.context.store_trouble = lambda: self.responses.record_store.trouble
        self.orphans = OrphanedResponses(self.context, self.responses)
        self.directory.on_change(self.orphans.on_peer)
        await request_states.start_listening()
        await self.responses.open_store()
        await self.bus.barrier()
        self.server = HttpServer(
            build(self.context, self.responses),
            bound,
            tls,
            policy=self._policy.http,
            client_timeout_s=self.settings.client_timeout_s,
        )
        self.spawn(self.server.run_until_shut(), name="http server")
        await self.server.listening.wait()
        self.context.accepting = True
        self.spawn(self.orphans.adopt_orphans(), name="orphans")
        log.info("listening on %s", self.server.url)
        if keys is None and not is_loopback(self.settings.host):
            log.warning("everybody who reaches this address is let in: no --api-keys-file is given")

    async def drain(self) -> None:
        """New requests get 503; those that run may finish."""
        self.context.accepting = False
        await self.context.request_states.idle()
        await self._shut()

    async def stop(self) -> None:
        """Ends with an error what was not finished in time."""
        if self.server is not None:
            self.context.accepting = False
            self.responses.drop_all()
            self.context.request_states.fail_all(Unavailable("the gateway is stopping", retry_after_s=1.0))
            await self._shut()

    def renew_epoch(self) -> None:
        """Schedulers drop what an earlier epoch of ours asked for."""
        super().renew_epoch()
        if hasattr(self, "orphans"):
            self.context.request_states.lose_all("this gateway was away")
            self.responses.recheck()
            self.orphans.look()

    async def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """`abort`: another gateway was asked to end what a tenant calls so (name null: all that he runs)."""
        if command == "abort":
            return {"aborted": self.context.running.abort_named(arguments["name"], arguments["tenant"])}
        return await super().control(command, arguments)

    def presence(self) -> Presence:
        running = len(self.context.request_states) if hasattr(self, "context") else 0
        return msgspec.structs.replace(super().presence(), running=running)

    async def _shut(self) -> None:
        assert self.server is not None
        await self.server.shut()


def _load(settings: GatewaySettings) -> tuple[ModelCard, Family, Keys | None, ssl.SSLContext | None]:
    keys = Keys.load(Path(settings.api_keys_file)) if settings.api_keys_file else None
    tls = server_context(settings.tls_cert_file, settings.tls_key_file)
    card = settings.load_model_card()
    return card, _family(card, settings), keys, tls


def _family(card: ModelCard, settings: GatewaySettings) -> Family:
    """Returns how the model writes what is not text. Raises ModelError, StartupError."""
    path = card.path / "tokenizer_config.json"
    templates = template_sources(card.path, read_json(path) if path.exists() else {})
    try:
        return choose(
            template="\n".join(templates.values()),
            model_type=str(card.config.get("model_type", "")),
            architecture=card.architecture,
            tool_call_parser=settings.tool_call_parser,
            reasoning_parser=settings.reasoning_parser,
        )
    except ValueError as error:
        raise StartupError(str(error)) from None
