import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import tokenizer_kinds as kinds
from tests.generation_params import gathered
from tests.patience import PATIENCE_S
from xylem.services.tokenizer.prompt_encoder import PromptEncoder
from xylem.services.tokenizer.service import TokenizerService
from xylem.shared.protocol import (
    Detokenize,
    Detokenized,
    Generate,
    LogprobParams,
    Refused,
    Tokenize,
    Tokenized,
    TokenizeReply,
    subjects,
)
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import StartupError, running
from xylem.shared.runtime.settings import TokenizerSettings

MODEL = "tokenizer-test"
SUBJECT = subjects.tokenize(MODEL)


def make(nats_url: str, folder: Path, name: str = "t1") -> TokenizerService:
    return TokenizerService(
        TokenizerSettings(nats_url=nats_url, model=str(folder), served_name=MODEL, id=name, heartbeat_s=0.05, drain_s=5)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kinds.write_model(
        tmp_path / "model", kinds.byte_level(), context_length=20_000, chat_template="{{ messages[0].content }}"
    )


@pytest.fixture
async def service(nats_url: str, folder: Path) -> AsyncIterator[TokenizerService]:
    made = make(nats_url, folder)
    async with running(made):
        yield made


class Next:
    """The router's place and the gateway's."""

    def __init__(self) -> None:
        self.tokenized: asyncio.Queue[Tokenized] = asyncio.Queue()
        self.refused: asyncio.Queue[Refused] = asyncio.Queue()

    async def open(self, bus: Bus, gateway: str, *, with_router: bool = True) -> None:
        if with_router:
            await bus.answer(subjects.route(MODEL), Tokenized, self.tokenized.put)
        await bus.listen(subjects.gateway(gateway, "tokenizer"), Refused, self.refused.put)
        await bus.barrier()


def generate(gateway: str, **fields: Any) -> Generate:
    return Generate(request_id="r", attempt=1, gateway=gateway, detokenizer="d", **gathered(fields))


async def test_requests_go_on_to_the_router(service: TokenizerService, bus: Bus) -> None:
    after = Next()
    await after.open(bus, "on")
    short, long = "the quick", "the quick brown fox " * 500
    async with asyncio.timeout(PATIENCE_S):
        for text in (short, long):
            await bus.hand_over(SUBJECT, generate("on", prompt=text))
            assert unpack((await after.tokenized.get()).prompt_ids).tolist() == kinds.byte_level().encode(text).ids


async def test_scores_that_fit_into_no_message_are_refused(service: TokenizerService, bus: Bus) -> None:
    after = Next()
    await after.open(bus, "scores")
    most = bus.max_payload // 32 // 21
    prompt = pack([5] * 19_000)
    async with asyncio.timeout(PATIENCE_S):
        for prompt_from in (-1, 19_000 - most + 100):
            logprobs = LogprobParams(num_top=20, prompt_from=prompt_from)
            await bus.hand_over(SUBJECT, generate("scores", token_ids=prompt, logprobs=logprobs))
            assert (await after.tokenized.get()).params.logprobs == logprobs
        await bus.hand_over(
            SUBJECT, generate("scores", token_ids=prompt, logprobs=LogprobParams(num_top=20, prompt_from=0))
        )
        refused = await after.refused.get()
        assert (refused.code, refused.param) == ("invalid_request", "logprobs")


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": "word " * 400_000}, "context_length_exceeded", "prompt"),
        ({"messages": b'[{"role": "user"}]'}, "invalid_request", "messages"),
        ({"token_ids": pack([9999])}, "invalid_request", "prompt"),
        ({"token_ids": b"abc"}, "internal_error", None),
    ],
)
async def test_refusals_go_to_the_gateway(
    service: TokenizerService, bus: Bus, fields: Any, code: str, param: str | None
) -> None:
    after = Next()
    await after.open(bus, "refusing")
    async with asyncio.timeout(PATIENCE_S):
        await bus.hand_over(SUBJECT, generate("refusing", **fields))
        refused = await after.refused.get()
    assert (refused.request_id, refused.attempt, refused.code) == ("r", 1, code)
    if param:
        assert refused.param == param
    assert after.tokenized.empty()


async def test_without_a_router_the_gateway_hears_at_once(
    service: TokenizerService, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Bus.hand_over.__kwdefaults__ or {}, "timeout_s", 1000)
    after = Next()
    await after.open(bus, "alone", with_router=False)
    async with asyncio.timeout(PATIENCE_S):
        await bus.hand_over(SUBJECT, generate("alone", prompt="x"))
        assert (await after.refused.get()).code == "unavailable"


async def test_questions(service: TokenizerService, bus: Bus) -> None:
    text = "héllo wörld 你好 🙂 \n\t x" * 200
    answer = await bus.request(SUBJECT, Tokenize(prompt=text), TokenizeReply)
    back = await bus.request(SUBJECT, Detokenize(token_ids=answer.token_ids), Detokenized)
    assert back.text == text
    wrong = await bus.request(SUBJECT, Tokenize(messages=b"[]"), TokenizeReply)
    assert (wrong.code, wrong.param) == ("invalid_request", "messages")
    wrong_ids = await bus.request(SUBJECT, Detokenize(token_ids=pack([-5])), Detokenized)
    assert (wrong_ids.code, wrong_ids.param) == ("invalid_request", "tokens")


async def test_an_answer_that_is_too_large_says_so(service: TokenizerService, bus: Bus) -> None:
    reply = await bus.request(
        SUBJECT, Tokenize(prompt="xq" * (bus.max_payload // 8 + 512)), TokenizeReply, timeout_s=20
    )
    assert reply.code == "payload_too_large"


async def test_a_long_text_does_not_hold_up_a_short_one(service: TokenizerService, bus: Bus) -> None:
    long = asyncio.ensure_future(bus.request(SUBJECT, Tokenize(prompt="word " * 300_000), TokenizeReply, timeout_s=30))
    await bus.barrier()
    assert (await bus.request(SUBJECT, Tokenize(prompt="short"), TokenizeReply)).token_ids
    assert not long.done()
    assert (await long).token_ids


async def test_drain_finishes_what_is_in_hand(
    nats_url: str, bus: Bus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, seen = Next(), asyncio.Event()
    await after.open(bus, "drained")
    encode, loop = PromptEncoder.encode_request, asyncio.get_running_loop()

    def encode_request(self: PromptEncoder, *arguments: Any) -> Tokenized:
        loop.call_soon_threadsafe(seen.set)
        return encode(self, *arguments)

    monkeypatch.setattr(PromptEncoder, "encode_request", encode_request)
    async with asyncio.timeout(PATIENCE_S):
        async with running(make(nats_url, folder, "t2")):
            await bus.hand_over(SUBJECT, generate("drained", prompt="the quick brown fox " * 2000))
            await seen.wait()
        assert after.tokenized.qsize() + after.refused.qsize() == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", '{"version"', "holds no usable tokenizer"),
        ("config.json", "{", "can't be read as JSON"),
        ("tokenizer_config.json", '{"chat_template": "{% if %}"}', "chat template"),
    ],
)
async def test_a_broken_model_is_a_clear_error(
    nats_url: str, folder: Path, name: str, content: str, words: str
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(ExceptionGroup) as caught:
        async with running(make(nats_url, folder, "broken")):
            pass
    (error,) = caught.value.exceptions
    assert isinstance(error, StartupError)
    assert words in str(error)
