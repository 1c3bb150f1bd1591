"""The detokenizer on the bus."""

import asyncio
import logging
from typing import Any

import msgspec

from xylem.services.detokenizer.decoders import decoder_factory, spelling
from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.services.detokenizer.transcriber import Transcriber
from xylem.shared.model_info.model_card import ModelError, locate
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import Abort, Message, Presence, Resume, Resumed, TokenDeltas, subjects
from xylem.shared.runtime.errors import XylemError
from xylem.shared.runtime.service import Service, StartupError
from xylem.shared.runtime.settings import DetokenizerSettings

log = logging.getLogger(__name__)


class DetokenizerService(Service[DetokenizerSettings]):
    """Feeds a Transcriber and sends its messages: one per gateway and turn of the event loop."""

    kind = "detokenizer"
    settings_type = DetokenizerSettings

    def __init__(self, settings: DetokenizerSettings, policy: DetokenizerPolicy | None = None) -> None:
        super().__init__(settings)
        self._policy = policy or DetokenizerPolicy()

    async def start(self) -> None:
        try:
            codec = await asyncio.to_thread(lambda: TextCodec.load(locate(self.settings.model)))
        except ModelError as error:
            raise StartupError(str(error)) from None
        self._transcriber = Transcriber(
            decoder_factory(codec), decoder_factory(codec, keep_special=True), spelling(codec), self._policy
        )
        self._filled = asyncio.Event()
        self._sent = asyncio.Event()
        self.bus.on_epoch(self._transcriber.drop_all)
        self.directory.on_change(self._on_peer)
        self.spawn(self._send(), name="send")
        await self.bus.listen(subjects.abort_any(self.model), Abort, self._on_abort)
        await self.bus.listen(subjects.all_aborts(self.model), Abort, self._on_abort)
        await self.bus.listen(subjects.detokenizer(self.model, self.id), TokenDeltas, self._on_tokens)
        await self.bus.answer(subjects.resume(self.model, self.id), Resume, self._on_resume)

    async def drain(self) -> None:
        while self._transcriber.num_open:
            self._sent.clear()
            await self._sent.wait()

    def presence(self) -> Presence:
        if self.state not in ("ready", "draining"):
            return super().presence()
        return msgspec.structs.replace(super().presence(), running=self._transcriber.num_open)

    async def control(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if command == "check":
            return {"open_sequences": self._transcriber.num_open}
        return await super().control(command, arguments)

    async def _on_tokens(self, deltas: TokenDeltas) -> None:
        self._transcriber.transcribe(deltas, asyncio.get_running_loop().time())
        self._filled.set()

    async def _on_abort(self, abort: Abort) -> None:
        self._transcriber.abort_request(abort.request_id, abort.attempt)
        self._filled.set()

    async def _on_resume(self, resume: Resume) -> Resumed:
        now_s = asyncio.get_running_loop().time()
        return self._transcriber.resume_request(resume.request_id, resume.gateway, resume.num_chars, now_s)

    def _on_peer(self, peer: Presence, alive: bool) -> None:
        if peer.kind == "executor":
            self._transcriber.on_executor_change(peer, alive=alive)
            self._filled.set()

    async def _send(self) -> None:
        """Publishes the messages that the callbacks of a loop turn have left in the transcriber."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            for gateway, deltas in self._transcriber.text_deltas.take_messages(self.id):
                await self._publish(subjects.gateway(gateway, self.kind), deltas)
            refusals, self._transcriber.refusals = self._transcriber.refusals, []
            for gateway, refused in refusals:
                await self._publish(subjects.gateway(gateway, self.kind), refused)
            aborts, self._transcriber.aborts = self._transcriber.aborts, []
            for scheduler, abort in aborts:
                await self._publish(subjects.abort(self.model, scheduler), abort)
            self._sent.set()

    async def _publish(self, subject: str, message: Message) -> None:
        try:
            await self.bus.publish(subject, message)
        except XylemError as error:
            # Offsets show the loss to the gateway.
            self.bus.log_undelivered(log, f"{type(message).__name__} to %s", subject, error)
