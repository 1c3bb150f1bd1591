import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import tokenizer_kinds as kinds
from tests.generation_params import gathered
from tests.patience import PATIENCE_S
from xylem.services.detokenizer.service import DetokenizerService
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import (
    Abort,
    Control,
    ControlReply,
    FinishReason,
    Presence,
    SequenceStart,
    TextDeltas,
    TokenDeltas,
    subjects,
)
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import StartupError, running
from xylem.shared.runtime.settings import DetokenizerSettings

MODEL = "detok-test"


def make(nats_url: str, folder: Path, name: str = "d1") -> DetokenizerService:
    return DetokenizerService(
        DetokenizerSettings(
            nats_url=nats_url, model=str(folder), served_name=MODEL, id=name, heartbeat_s=0.05, drain_s=5
        )
    )


@pytest.fixture
async def service(nats_url: str, tmp_path: Path) -> AsyncIterator[DetokenizerService]:
    made = make(nats_url, kinds.write_model(tmp_path / "model", kinds.byte_level()))
    async with running(made):
        yield made


class Gateway:
    """What arrives for one gateway and at one scheduler."""

    def __init__(self) -> None:
        self.deltas: asyncio.Queue[TextDeltas] = asyncio.Queue()
        self.aborts: asyncio.Queue[Abort] = asyncio.Queue()

    async def open(self, bus: Bus, name: str) -> None:
        await bus.listen(subjects.gateway(name, "detokenizer"), TextDeltas, self.deltas.put)
        await bus.listen(subjects.abort(MODEL, "s"), Abort, self.aborts.put)
        await bus.barrier()

    async def rows(self, until_finish: int) -> list[tuple[str, str, int]]:
        """(request, text, finish) of each row, up to so many finished requests."""
        rows: list[tuple[str, str, int]] = []
        async with asyncio.timeout(PATIENCE_S):
            while sum(1 for row in rows if row[2]) < until_finish:
                deltas = await self.deltas.get()
                rows += zip(deltas.request_ids, deltas.texts, unpack(deltas.finishes), strict=True)
        return rows


def step(rows: list[tuple[int, int, int, int]], *starts: tuple[int, SequenceStart]) -> TokenDeltas:
    ids, offsets, tokens, finishes = zip(*rows, strict=True)
    return TokenDeltas(
        executor="e",
        epoch=1,
        sequence_ids=pack(ids),
        offsets=pack(offsets),
        counts=pack([1] * len(rows)),
        token_ids=pack(tokens),
        finishes=pack(finishes),
        starts=starts,
    )


def start_of(request: str, gateway: str, **more: Any) -> SequenceStart:
    return SequenceStart(
        request_id=request,
        attempt=0,
        gateway=gateway,
        scheduler="s",
        num_prompt_tokens=1,
        num_cached_tokens=0,
        **gathered(more),
    )


async def check(bus: Bus, name: str = "d1") -> Any:
    reply = await bus.request(subjects.control("detokenizer", name), Control(command="check"), ControlReply)
    return json.loads(reply.detail)


async def test_tokens_in_and_text_out(service: DetokenizerService, bus: Bus, codec: TextCodec) -> None:
    gateway = Gateway()
    await gateway.open(bus, "tokens-in")
    texts = {"a": "héllo 🙂 there", "b": "the END of it, and more"}
    ids = [codec.encode(text, add_special_tokens=False) for text in texts.values()]
    first: tuple[tuple[int, SequenceStart], ...] = (
        (1, start_of("a", "tokens-in")),
        (2, start_of("b", "tokens-in", stop=("END",))),
    )
    for offset in range(max(map(len, ids))):
        rows = [
            (number, offset, of[offset], int(FinishReason.LENGTH if offset == len(of) - 1 else FinishReason.NONE))
            for number, of in enumerate(ids, start=1)
            if offset < len(of)
        ]
        await bus.publish(subjects.detokenizer(MODEL, "d1"), step(rows, *first))
        first = ()
    told = await gateway.rows(until_finish=2)
    assert "".join(text for request, text, _ in told if request == "a") == texts["a"]
    assert "".join(text for request, text, _ in told if request == "b") == "the "
    assert [(request, finish) for request, _, finish in told if finish] == [
        ("b", FinishReason.STOP),
        ("a", FinishReason.LENGTH),
    ] or (
        [(request, finish) for request, _, finish in told if finish]
        == [("a", FinishReason.LENGTH), ("b", FinishReason.STOP)]
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await gateway.aborts.get() == Abort(request_id="b", attempt=0, reason="stop")
    assert await check(bus) == {"open_sequences": 0}


async def test_an_abort_to_any_scheduler_frees_the_state(service: DetokenizerService, bus: Bus) -> None:
    gateway = Gateway()
    await gateway.open(bus, "aborting")
    for number, subject in enumerate([subjects.abort(MODEL, "s2"), subjects.abort_any(MODEL)]):
        request = f"gone{number}"
        await bus.publish(
            subjects.detokenizer(MODEL, "d1"), step([(number, 0, 70, 0)], (number, start_of(request, "aborting")))
        )
        async with asyncio.timeout(PATIENCE_S):
            await gateway.deltas.get()
        assert await check(bus) == {"open_sequences": 1}
        await bus.publish(subject, Abort(request_id=request, attempt=0))
        await bus.barrier()
        async with asyncio.timeout(PATIENCE_S):
            while await check(bus) != {"open_sequences": 0}:
                pass  # each check is a round trip


async def test_states_of_a_dead_executor_are_dropped(service: DetokenizerService, bus: Bus) -> None:
    alive = Presence(kind="executor", id="e", epoch=1, model=MODEL)
    await bus.publish(subjects.presence("executor", "e"), alive)
    await bus.publish(subjects.detokenizer(MODEL, "d1"), step([(1, 0, 70, 0)], (1, start_of("r", "nobody"))))
    async with asyncio.timeout(PATIENCE_S):
        while await check(bus) != {"open_sequences": 0}:  # three missed heartbeats later
            pass


async def test_drain_finishes_what_runs(nats_url: str, tmp_path: Path, bus: Bus) -> None:
    made = make(nats_url, kinds.write_model(tmp_path / "model", kinds.byte_level()), "draining")
    gateway = Gateway()
    await gateway.open(bus, "draining")
    subject = subjects.detokenizer(MODEL, "draining")
    async with asyncio.timeout(PATIENCE_S):
        async with running(made):
            await bus.publish(subject, step([(1, 0, 70, 0)], (1, start_of("r", "draining"))))
            await gateway.deltas.get()
            states: asyncio.Queue[str] = asyncio.Queue()

            async def on_presence(presence: Presence) -> None:
                states.put_nowait(presence.state)
                if presence.state == "draining" and not made._transcriber.text_deltas._rows:
                    await bus.publish(subject, step([(1, 1, 70, FinishReason.LENGTH)]))

            await bus.listen(subjects.presence("detokenizer", "draining"), Presence, on_presence)
            await bus.barrier()
        assert [row[2] for row in await gateway.rows(until_finish=1)] == [FinishReason.LENGTH]


async def test_a_model_without_tokenizer_is_a_clear_error(nats_url: str, tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with running(make(nats_url, tmp_path, "broken")):
            pass
    (error,) = caught.value.exceptions
    assert isinstance(error, StartupError)
    assert "tokenizer.json is missing" in str(error)
