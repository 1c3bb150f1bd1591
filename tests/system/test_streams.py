"""Many streams at once give what each gives alone; who leaves frees what he held; the books add up."""

import asyncio
import json
import re

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.serving import Served
from tests.system.asking import MODEL, PROMPTS, Answer, all_at_once, chat_body, client, one_by_one
from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime.bus import Bus


def said(answers: list[Answer]) -> list[tuple[str, str, int]]:
    return [(answer.text, answer.finish_reason, answer.completion_tokens) for answer in answers]


async def books(served: Served) -> dict[str, dict[str, object]]:
    """check_integrity() of the scheduler and the executor, once nothing runs."""
    bus = await Bus.connect(served.state["nats_url"], "test", timeout_s=5)
    try:
        reports = {}
        for kind in ("scheduler", "executor"):
            reply = await bus.request(subjects.control(kind, f"{kind}-0"), Control(command="check"), ControlReply)
            assert reply.ok, reply.detail
            reports[kind] = json.loads(reply.detail)
        return reports
    finally:
        await bus.drain()


async def until_nothing_runs(url: str) -> None:
    async with client(url) as http, asyncio.timeout(PATIENCE_S):
        while True:
            metrics = (await http.get("/metrics")).text
            running = re.findall(r"^xylem_running_requests(?:{[^}]*})? (\S+)", metrics, re.MULTILINE)
            if running and sum(map(float, running)) == 0:
                return


async def test_64_streams_equal_their_solo_answers(served: Served) -> None:
    assert len(set(PROMPTS)) == len(PROMPTS) == 64
    solo = await one_by_one(served.url, PROMPTS)
    assert len({answer.text for answer in solo}) > 40
    assert said(await all_at_once(served.url, PROMPTS)) == said(solo)


async def test_sampled_streams_equal_their_solo_answers(served: Served) -> None:
    solo = await one_by_one(served.url, PROMPTS[:16], temperature=1.5, seed=11, top_p=0.95)
    assert said(await all_at_once(served.url, PROMPTS[:16], temperature=1.5, seed=11, top_p=0.95)) == said(solo)


async def test_short_memory_changes_nothing(served: Served, tight: Served) -> None:
    """Chunks of 24 tokens, 48 pages of 4 for all: prompts are cut up, pages evicted, sequences retracted."""
    prompts = PROMPTS[:24]
    assert said(await all_at_once(tight.url, prompts)) == said(await one_by_one(served.url, prompts))
    await until_nothing_runs(tight.url)
    await books(tight)


async def test_a_prompt_that_never_fits_is_a_400(tight: Served) -> None:
    async with client(tight.url) as http:
        response = await http.post("/v1/completions", json={"model": MODEL, "prompt": "word " * 400})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


async def test_a_client_that_leaves_frees_its_pages(served: Served) -> None:
    async with client(served.url) as http:
        for _ in range(8):
            body = chat_body("Tell me a long story.", stream=True, max_tokens=2000, ignore_eos=True)
            async with http.stream("POST", "/v1/chat/completions", json=body) as response:
                assert response.status_code == 200
                await anext(response.aiter_lines())
    await until_nothing_runs(served.url)
    report = await books(served)
    assert report["executor"]["running"] == report["executor"]["held_pages"] == 0


async def test_a_repeated_prompt_is_cached(served: Served) -> None:
    prompt = "Repeat: " + " ".join(["sun", "moon", "star"] * 30)
    first, second = await one_by_one(served.url, [prompt, prompt])
    assert (first.text, first.finish_reason) == (second.text, second.finish_reason)
    assert second.cached_tokens > first.cached_tokens


async def test_a_whole_answer_that_nobody_waits_for_is_aborted(served: Served) -> None:
    async with client(served.url) as http:
        with pytest.raises(httpx.ReadTimeout):
            body = chat_body("Tell me a long story.", max_tokens=3000, ignore_eos=True)
            await http.post("/v1/chat/completions", json=body, timeout=httpx.Timeout(PATIENCE_S, read=0.3))
    await until_nothing_runs(served.url)
