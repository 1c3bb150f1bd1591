"""A gateway on a free port, in front of a pipeline that the test plays itself on the real bus."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.policy import GatewayPolicy
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import (
    Abort,
    Accepted,
    Detokenize,
    Detokenized,
    FinishReason,
    Generate,
    Message,
    Presence,
    Refused,
    RequestStatus,
    StatusQuery,
    StatusReply,
    TextDeltas,
    Tokenize,
    TokenizeReply,
    WhoIsThere,
    subjects,
)
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.protocol.senders import SAID_TO_GATEWAYS
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.service import running
from xylem.shared.runtime.settings import GatewaySettings

MODEL = "tiny"
KINDS = ("tokenizer", "router", "scheduler", "executor", "detokenizer")
NUM_PROMPT_TOKENS = 7


class FakePipeline:
    """Tokenizer to detokenizer in one. Token i of a sequence is 100 + i and reads `w{i} `; 5 unless limited."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.generates: list[Generate] = []
        self.aborts: asyncio.Queue[Abort] = asyncio.Queue()
        self.peers = {kind: Presence(kind=kind, id=f"{kind}-0", epoch=1, model=MODEL) for kind in KINDS}
        self.play: Callable[[Generate], Awaitable[None]] = self.answer
        # Where requests stand when the gateway asks; else they run while `play` does.
        self.states: dict[str, RequestStatus] = {}
        self.asked: list[tuple[str, RequestStatus]] = []
        self.was_asked = asyncio.Event()
        self._playing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self.bus.answer(subjects.tokenize(MODEL), Generate | Tokenize | Detokenize, self._on_request)
        await self.bus.listen(subjects.abort(MODEL, "scheduler-0"), Abort, self.aborts.put)
        await self.bus.listen(subjects.abort_any(MODEL), Abort, self.aborts.put)
        await self.bus.answer(subjects.inquire(MODEL, "scheduler-0"), StatusQuery, self._on_inquire)
        await self.bus.listen(subjects.WHO_IS_THERE, WhoIsThere, self._on_who)
        await self.bus.barrier()
        self.spawn(self._beat_on())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def beat(self, kind: str, **changes: Any) -> None:
        """A heartbeat now, with changes that stay; state="bye" ends the peer."""
        peer = self.peers[kind] = msgspec.structs.replace(self.peers[kind], **changes)
        await self.bus.publish(subjects.presence(kind, peer.id), peer)
        if peer.state == "bye":
            del self.peers[kind]

    async def say(self, message: Message, gateway: str = "gw") -> None:
        sender = next(kind for kind in reversed(KINDS) if isinstance(message, SAID_TO_GATEWAYS[kind]))
        await self.bus.publish(subjects.gateway(gateway, sender), message)

    async def accept(self, g: Generate) -> None:
        await self.say(Accepted(g.request_id, g.attempt, "scheduler-0", NUM_PROMPT_TOKENS), g.gateway)

    async def refuse(self, g: Generate, code: str, message: str = "refused by the test", **more: Any) -> None:
        await self.say(Refused(g.request_id, g.attempt, code, message, **more), g.gateway)

    async def text(
        self,
        g: Generate,
        offset: int,
        ids: list[int],
        text: str,
        finish: FinishReason = FinishReason.NONE,
        cached: int = 0,
        prefix: str = "",
    ) -> None:
        await self.say(
            TextDeltas(
                detokenizer="detokenizer-0",
                request_ids=(g.request_id,),
                attempts=pack([g.attempt]),
                offsets=pack([offset]),
                counts=pack([len(ids)]),
                token_ids=pack(ids),
                texts=(text,),
                finishes=pack([finish]),
                num_prompt_tokens=pack([NUM_PROMPT_TOKENS]),
                num_cached_tokens=pack([cached]),
                prefixes=((0, prefix),) if prefix else (),
            ),
            g.gateway,
        )

    async def words(self, g: Generate, start: int, stop: int, finish: FinishReason = FinishReason.NONE) -> None:
        """Tokens [start, stop), one delta each; the last one with `finish`."""
        for i in range(start, stop):
            await self.text(g, i, [100 + i], f"w{i} ", finish if i == stop - 1 else FinishReason.NONE, cached=4)

    async def answer(self, g: Generate) -> None:
        await self.accept(g)
        stop = g.params.stop_conditions.max_tokens if g.params.stop_conditions.max_tokens >= 0 else 5
        await self.words(g, len(unpack(g.output_ids)), stop, FinishReason.LENGTH)

    async def _on_request(self, request: Generate | Tokenize | Detokenize) -> Message | None:
        if isinstance(request, Generate):
            self.generates.append(request)
            self.spawn(self._play(request))
            return None
        if isinstance(request, Tokenize):
            text = request.prompt if request.prompt is not None else (request.messages or b"").decode()
            return TokenizeReply(token_ids=pack(map(ord, text)))
        ids = unpack(request.token_ids)
        if any(i >= 0x110000 for i in ids):
            return Detokenized(code="invalid_request", message="no such token in the vocabulary", param="tokens")
        return Detokenized(text="".join(map(chr, ids)))

    async def _play(self, request: Generate) -> None:
        self._playing.add(request.request_id)
        try:
            await self.play(request)
        finally:
            self._playing.discard(request.request_id)

    def _state(self, request_id: str) -> RequestStatus:
        return self.states.get(
            request_id, RequestStatus.RUNNING if request_id in self._playing else RequestStatus.UNKNOWN
        )

    async def _on_inquire(self, inquire: StatusQuery) -> StatusReply:
        found = [(request_id, self._state(request_id)) for request_id in inquire.request_ids]
        self.asked += found
        self.was_asked.set()
        return StatusReply(states=pack(state for _, state in found), lengths=pack(0 for _ in found))

    async def _on_who(self, _: WhoIsThere) -> None:
        with suppress(Unavailable):  # NATS is being restarted
            for kind in list(self.peers):
                await self.beat(kind)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            await self._on_who(WhoIsThere(asker="itself"))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / MODEL
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "vocab_size": 512, "max_position_embeddings": 256}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def fake_pipeline() -> type[FakePipeline]:
    return FakePipeline


@pytest.fixture
async def pipeline(bus: Bus) -> AsyncIterator[FakePipeline]:
    fake = FakePipeline(bus)
    await fake.open()
    yield fake
    await fake.close()


@pytest.fixture
def gateway_settings(nats_url: str, model_folder: Path) -> Callable[..., GatewaySettings]:
    def make(**changes: Any) -> GatewaySettings:
        # Three beats of standing still and a gateway takes all that it has for lost.
        usual: dict[str, Any] = {
            "model": str(model_folder),
            "nats_url": nats_url,
            "id": "gw",
            "port": 0,
            "heartbeat_s": 2,
        }
        return GatewaySettings(**usual | {"heartbeat_s": 2} | changes)

    return make


@pytest.fixture
def policy() -> GatewayPolicy:
    """A test file that can't wait as long as a gateway does defines another one."""
    return GatewayPolicy()


@pytest.fixture
def serving(
    gateway_settings: Callable[..., GatewaySettings], pipeline: FakePipeline, policy: GatewayPolicy
) -> Callable[..., Any]:
    """`async with serving(**settings) as service:` a gateway that has seen the whole pipeline."""
    usual = policy

    @asynccontextmanager
    async def serve(policy: GatewayPolicy = usual, **changes: Any) -> AsyncIterator[GatewayService]:
        service = GatewayService(gateway_settings(**changes), policy)
        async with running(service):
            await service.context.request_states.ready()
            yield service

    return serve


@pytest.fixture
async def gateway(serving: Callable[..., Any]) -> AsyncIterator[GatewayService]:
    async with serving() as service:
        yield service


@pytest.fixture
async def http(gateway: GatewayService) -> AsyncIterator[httpx.AsyncClient]:
    assert gateway.server is not None
    async with httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
def stopping(pipeline: FakePipeline) -> None:
    """The model stops by itself after three words."""

    async def play(g: Generate) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 3, FinishReason.STOP)

    pipeline.play = play
