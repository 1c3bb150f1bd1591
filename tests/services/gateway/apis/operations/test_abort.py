"""Requests that somebody else ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.running_sessions import RunningSessions
from xylem.shared.protocol import Generate, GenerationParams

PATH = "/abort_request"
ALICE, BOB = "sk-alice-0123456789", "sk-bob-0123456789"


@pytest.fixture
def endless(pipeline: Any) -> Any:
    """Every request gets two words, and no end."""

    async def play(g: Generate) -> None:
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        pipeline.begun.release()

    pipeline.play = play
    pipeline.begun = asyncio.Semaphore(0)
    return pipeline


@asynccontextmanager
async def begun(http: httpx.AsyncClient, path: str, body: dict[str, Any], **more: Any) -> AsyncIterator[Any]:
    """A stream whose first words have come, and a function that gives its events when it has ended."""
    async with http.stream("POST", path, json={**body, "stream": True}, **more) as response:
        lines = response.aiter_lines()
        seen: list[str] = []
        async for line in lines:
            seen.append(line)
            if "w1 " in line:
                break

        async def rest() -> list[dict[str, Any]]:
            seen.extend([line async for line in lines])
            return [json.loads(line[6:]) for line in seen if line.startswith("data: {")]

        yield rest


async def test_by_rid(http: httpx.AsyncClient, gateway: Any, endless: Any) -> None:
    async with begun(http, "/generate", {"text": "x", "rid": "mine"}) as rest:
        assert (await http.post(PATH, json={"rid": "other"})).json() == {"aborted": 0}
        assert (await http.post(PATH, json={"rid": "mine"})).json() == {"aborted": 1}
        last = (await rest())[-1]
    assert last["text"] == "w0 w1 "
    assert last["meta_info"]["finish_reason"] == {"type": "abort", "message": "aborted"}
    abort = await asyncio.wait_for(endless.aborts.get(), PATIENCE_S)
    assert abort.request_id == endless.generates[0].request_id
    assert (await http.post(PATH, json={"rid": "mine"})).json() == {"aborted": 0}
    assert len(gateway.context.request_states) == 0


async def test_one_of_a_batch(http: httpx.AsyncClient, endless: Any) -> None:
    async with begun(http, "/generate", {"text": ["x", "y"], "rid": ["a", "b"]}) as rest:
        assert (await http.post(PATH, json={"rid": "b"})).json() == {"aborted": 1}
        assert (await http.post(PATH, json={"rid": "a"})).json() == {"aborted": 1}
        events = await rest()
    assert [each["index"] for each in events if each["meta_info"]["finish_reason"]] == [1, 0]


async def test_by_the_id_of_an_answer(http: httpx.AsyncClient, endless: Any) -> None:
    body = {"prompt": "x", "n": 2}
    async with begun(http, "/v1/completions", body) as rest:
        answer_id = endless.generates[0].request_id.rpartition("-")[0]  # which clients read in the first event
        assert (await http.post(PATH, json={"rid": answer_id})).json() == {"aborted": 2}
        events = await rest()
    reasons = [event["choices"][0]["finish_reason"] for event in events if event["choices"][0]["finish_reason"]]
    assert reasons == ["abort", "abort"]


async def test_all_of_it_whole(http: httpx.AsyncClient, endless: Any) -> None:
    """An answer in one says what there was; a second abort finds nothing."""
    whole = asyncio.create_task(http.post("/generate", json={"text": ["x", "y"]}))
    async with begun(http, "/v1/completions", {"prompt": "z"}) as rest:
        for _ in range(3):
            await endless.begun.acquire()
        assert (await http.post(PATH, json={"abort_all": True})).json() == {"aborted": 3}
        await rest()
    answers = (await whole).json()
    assert [answer["meta_info"]["finish_reason"]["type"] for answer in answers] == ["abort", "abort"]
    assert (await http.post(PATH, json={"abort_all": True})).json() == {"aborted": 0}


async def test_through_another_gateway(http: httpx.AsyncClient, serving: Any, endless: Any) -> None:
    async with (
        serving(id="gw2") as other,
        httpx.AsyncClient(base_url=other.server.url, timeout=PATIENCE_S) as elsewhere,
        begun(http, "/generate", {"text": "x", "rid": "mine"}) as rest,
    ):
        met = asyncio.Event()
        other.directory.on_beat(lambda peer: met.set() if (peer.kind, peer.id) == ("gateway", "gw") else None)
        await asyncio.wait_for(met.wait(), PATIENCE_S)
        assert (await elsewhere.post(PATH, json={"rid": "mine"})).json() == {"aborted": 1}
        assert (await rest())[-1]["meta_info"]["finish_reason"]["type"] == "abort"


async def test_a_key_ends_only_what_it_has_asked_for(serving: Any, endless: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[alice]\nkey = "{ALICE}"\n[bob]\nkey = "{BOB}"\n')
    alice, bob = ({"authorization": f"Bearer {key}"} for key in (ALICE, BOB))
    async with (
        serving(api_keys_file=str(keys)) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
        begun(http, "/generate", {"text": "x", "rid": "mine"}, headers=alice) as rest,
    ):
        for body in ({"rid": "mine"}, {"abort_all": True}):
            assert (await http.post(PATH, json=body, headers=bob)).json() == {"aborted": 0}
        assert (await http.post(PATH, json={"rid": "mine"}, headers=alice)).json() == {"aborted": 1}
        await rest()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "rid"),
        ({"rid": 1}, "rid"),
        ({"abort_all": False}, "rid"),
        ({"abort_all": 1}, "abort_all"),
        ({"id": "x"}, "id"),
    ],
)
async def test_faults_are_named(http: httpx.AsyncClient, body: dict[str, Any], param: str) -> None:
    response = await http.post(PATH, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


class Two:
    """A session of two choices, "a" and "b"."""

    def __init__(self) -> None:
        self.request = GenerationRequest("tiny", [ChoiceSpec(GenerationParams(tenant="alice"))] * 2)
        self.names = {"both": [0, 1], "a": [0], "b": [1]}
        self.ended: list[int] = []

    def abort_choices(self, indices: list[int]) -> int:
        new = [index for index in indices if index not in self.ended]
        self.ended += new
        return len(new)


def test_names_may_be_shared_and_are_forgotten() -> None:
    running = RunningSessions()
    one, other = Two(), Two()
    running.add_session(one)
    running.add_session(other)
    assert running.abort_named("a", "bob") == 0
    assert running.abort_named("a", "alice") == 2
    running.remove_session(other)
    running.remove_session(other)
    assert running.abort_named(None, "alice") == 1
    assert (one.ended, other.ended) == ([0, 1], [0])
    running.remove_session(one)
    assert running.abort_named("both", "alice") == 0
