"""One poison request among 32 streams: it ends with an error, and the others with the text they have without it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.patience import PATIENCE_S
from tests.serving import ROOT, Served, serving
from tests.system.poison.sitecustomize import ABORT, ONE_ROW, OUT_OF_MEMORY, RAISE

pytestmark = pytest.mark.timeout(400)

NUM_STREAMS = 31
TOKENS = 120
PATH = "/v1/completions"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = f"{ROOT / 'tests' / 'system' / 'poison'}:{ROOT}"
    flags = ("--replicas", "executor=2", "--threads", "1", "--max-running", "24")
    with serving(tmp_path_factory.mktemp("pair"), *flags, environment={"PYTHONPATH": path}) as served:
        yield served


def body(number: int) -> dict[str, object]:
    prompt = f"Count from {number} to {number + 40}."
    return {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0.0, "ignore_eos": True, "seed": number}


async def text_of(http: httpx.AsyncClient, number: int, begun: asyncio.Semaphore) -> str:
    """The text of a stream; `begun` is released at its first event."""
    text = ""
    async with http.stream("POST", PATH, json={**body(number), "stream": True}) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                if not text:
                    begun.release()
                chunk = httpx.Response(200, content=line.removeprefix("data: ")).json()
                assert "error" not in chunk, chunk
                text += chunk["choices"][0]["text"]
    return text


@pytest.fixture(scope="module")
def expected(pair: Served) -> list[str]:
    async def ask() -> list[str]:
        async with httpx.AsyncClient(base_url=pair.url, timeout=PATIENCE_S) as http:
            return await asyncio.gather(*(text_of(http, n, asyncio.Semaphore(0)) for n in range(NUM_STREAMS)))

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("seed", "most_deaths"),
    [(ONE_ROW, 0), (ABORT, 2), (RAISE, 2), (OUT_OF_MEMORY, 2)],
    ids=["a row raises", "abort", "a step raises", "out of memory"],
)
async def test_one_poison_request_among_many(pair: Served, expected: list[str], seed: int, most_deaths: int) -> None:
    before = len(pair.output)
    async with httpx.AsyncClient(base_url=pair.url, timeout=PATIENCE_S, limits=httpx.Limits()) as http:
        begun = asyncio.Semaphore(0)
        streams = [asyncio.create_task(text_of(http, n, begun)) for n in range(NUM_STREAMS)]
        for _ in streams:
            await begun.acquire()
        poison = {"prompt": "Hi", "max_tokens": 5, "seed": seed, "frequency_penalty": 1.0}
        refused = await http.post(PATH, json=poison)
        texts = await asyncio.gather(*streams)
    said = "".join(pair.output[before:])
    assert texts == expected, said
    assert refused.status_code == 500, refused.text
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    dead = {name for name in ("executor-0", "executor-1") if f"{name}    | [restarting]" in said}
    assert said.count("| [restarting] ") <= most_deaths, said
    assert len(dead) <= 1, said
    assert ("in a row died" in refused.text) == (most_deaths > 0)


def test_the_faults_are_not_part_of_the_product() -> None:
    assert not list((ROOT / "services").rglob("sitecustomize.py"))
    assert Path(ROOT / "tests" / "system" / "poison" / "sitecustomize.py").is_file()
