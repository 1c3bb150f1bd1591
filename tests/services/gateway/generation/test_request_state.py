"""Attempts: what loses one, what the next one carries, and what the client sees. All through real HTTP and NATS."""

import asyncio
import json
import time
from typing import Any

import httpx
import msgspec
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.generation.request_state import CLOCK_ATTEMPTS, CLOSED
from xylem.services.gateway.policy import AttemptPolicy, GatewayPolicy, StallPolicy
from xylem.services.gateway.service import GatewayService
from xylem.shared.protocol import FinishReason, RequestStatus, Resume, Resumed, Started, subjects
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.service import running

BODY = {"prompt": "Hi", "max_tokens": 5}
PATH = "/v1/completions"


ATTEMPTS = AttemptPolicy(pauses_s=(0.01,) * 5)


@pytest.fixture
def policy() -> GatewayPolicy:
    return GatewayPolicy(attempts=ATTEMPTS)


def outputs(pipeline: Any) -> list[list[int]]:
    return [unpack(g.output_ids).tolist() for g in pipeline.generates]


async def test_a_gap_is_read_again_from_what_is_there(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        await pipeline.words(g, 3, 5)

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert answer["usage"]["completion_tokens"] == 5
    assert outputs(pipeline) == [[], [100, 101]]
    assert [g.attempt for g in pipeline.generates] == [0, 1]
    abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
    assert (abort.request_id, abort.attempt) == (pipeline.generates[0].request_id, 0)


async def test_late_text_of_an_old_attempt_is_dropped(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if not g.attempt:
            await pipeline.words(g, 0, 1)
            await pipeline.refuse(g, "unavailable")
            return
        await pipeline.text(pipeline.generates[0], 1, [7], "LATE ")
        await pipeline.answer(g)

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert outputs(pipeline) == [[], [100]]


async def test_six_attempts_without_a_token_and_then_503(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.refuse(g, "unavailable", "the executor has left")

    pipeline.play = play
    response = await http.post(PATH, json=BODY)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "the executor has left" in response.json()["error"]["message"]
    assert [g.attempt for g in pipeline.generates] == list(range(6))


async def test_a_stream_that_has_begun_ends_with_an_error_event(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if not g.attempt:
            await pipeline.words(g, 0, 1)
        await pipeline.refuse(g, "unavailable")

    pipeline.play = play
    response = await http.post(PATH, json={**BODY, "stream": True})
    assert response.status_code == 200
    *_, last, done = [line for line in response.text.split("\n\n") if line]
    assert '"code":"unavailable"' in last
    assert done == "data: [DONE]"


@pytest.mark.parametrize("kind", ["detokenizer", "scheduler"])
@pytest.mark.parametrize("change", [{"epoch": 2}, {"state": "bye"}])
async def test_a_peer_is_lost(http: httpx.AsyncClient, pipeline: Any, kind: str, change: dict[str, Any]) -> None:
    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.accept(g)
        await pipeline.words(g, 0, 2)
        peer = pipeline.peers[kind]
        await pipeline.beat(kind, **change)
        pipeline.peers[kind] = peer  # the next heartbeat brings it back

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert outputs(pipeline)[1] == [100, 101]


async def test_a_draining_peer_may_finish(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.beat("scheduler", state="draining")
        await pipeline.words(g, 0, 5, FinishReason.STOP)

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert len(pipeline.generates) == 1


async def test_the_bus_may_have_lost_something(gateway: Any, http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.words(g, 0, 2)
        await pipeline.bus.barrier()
        gateway.bus._begin_epoch()

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["text"] == "w0 w1 w2 w3 w4 "


async def test_nats_is_restarted(
    own_nats_server: Any, fake_pipeline: Any, gateway_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await Bus.connect(own_nats_server.url, "test", timeout_s=5)
    pipeline = fake_pipeline(bus)
    begun = asyncio.Event()

    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.words(g, 0, 2)
        begun.set()

    pipeline.play = play
    # Pauses as in earnest: by the last attempt the other side must have found the new server too.
    service = GatewayService(gateway_settings(nats_url=own_nats_server.url), GatewayPolicy())
    try:
        await pipeline.open()
        async with running(service), httpx.AsyncClient(timeout=PATIENCE_S) as http:
            assert service.server is not None
            http.base_url = httpx.URL(service.server.url)
            await service.context.request_states.ready()
            request = asyncio.create_task(http.post(PATH, json={**BODY, "stream": True}))
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            await asyncio.to_thread(own_nats_server.kill)
            await asyncio.to_thread(own_nats_server.start)
            text = (await request).text
    finally:
        await pipeline.close()
        await bus.drain()
    chunks = [json.loads(line[6:]) for line in text.split("\n\n")[:-2]]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "w0 w1 w2 w3 w4 "


async def test_a_failed_generation_is_500(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.text(g, 0, [], "", FinishReason.ERROR)

    pipeline.play = play
    response = await http.post(PATH, json=BODY)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"


async def test_a_full_queue_in_the_middle_is_tried_again(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if g.attempt == 2:
            await pipeline.answer(g)
        elif g.attempt == 1:
            await pipeline.refuse(g, "queue_full")
        else:
            await pipeline.words(g, 0, 1)
            await pipeline.refuse(g, "unavailable")

    pipeline.play = play
    assert (await http.post(PATH, json=BODY)).json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "


@pytest.mark.parametrize(("setting", "status"), [("request_timeout_s", 504), ("stall_timeout_s", 503)])
async def test_deadlines(serving: Any, pipeline: Any, setting: str, status: int) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)

    pipeline.play = play
    async with (
        serving(**{setting: 0.2}) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        response = await http.post(PATH, json=BODY)
        assert response.status_code == status
        assert "0.2 s" in response.json()["error"]["message"]
        abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
        assert abort.request_id == pipeline.generates[0].request_id


async def test_nobody_takes_it(http: httpx.AsyncClient, pipeline: Any) -> None:
    await pipeline.bus._client._subs[1].unsubscribe()  # the tokenizers' subject is silent, though they seem alive
    response = await http.post(PATH, json=BODY)
    assert response.status_code == 503
    assert "nobody serves" in response.json()["error"]["message"]


async def test_a_lost_end_is_noticed_by_asking(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.accept(g)
        await pipeline.words(g, 0, 4)  # the last word is lost, and the scheduler has done with it

    pipeline.play = play
    answer = (await http.post(PATH, json=BODY)).json()
    assert answer["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert outputs(pipeline) == [[], [100, 101, 102, 103]]
    assert {state for _, state in pipeline.asked} == {RequestStatus.UNKNOWN}


async def test_who_waits_in_a_queue_is_left_there(serving: Any, pipeline: Any) -> None:
    """Longer than stall_timeout_s, as long as the scheduler knows of it."""
    policy = GatewayPolicy(attempts=ATTEMPTS, stalls=StallPolicy(quiet_s=0.1))

    async def play(g: Any) -> None:
        await pipeline.accept(g)
        pipeline.states[g.request_id] = RequestStatus.WAITING
        while len(pipeline.asked) < 3:
            await pipeline.was_asked.wait()
            pipeline.was_asked.clear()
        await pipeline.words(g, 0, 5, FinishReason.LENGTH)

    pipeline.play = play
    async with (
        serving(policy, stall_timeout_s=1.6) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        response = await http.post(PATH, json=BODY, timeout=PATIENCE_S)
    assert response.json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert len(pipeline.generates) == 1


@pytest.mark.parametrize("change", [{"state": "bye"}, {"epoch": 2}])
async def test_the_executor_that_has_it_dies(http: httpx.AsyncClient, pipeline: Any, change: dict[str, Any]) -> None:
    """Before any text, and the scheduler says nothing of it."""

    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await pipeline.say(Started(g.request_id, g.attempt, "scheduler-0", "executor-0", 1))
        executor = pipeline.peers["executor"]
        await pipeline.beat("executor", **change)
        pipeline.peers["executor"] = msgspec.structs.replace(executor, epoch=2)

    pipeline.play = play
    assert (await http.post(PATH, json=BODY)).json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    assert [g.attempt for g in pipeline.generates] == [0, 1]


async def test_a_stage_that_has_just_gone_is_waited_for(
    gateway: Any, http: httpx.AsyncClient, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = asyncio.Event()
    gateway.directory.on_change(lambda presence, alive: gone.set() if not alive else None)
    executor = pipeline.peers["executor"]
    await pipeline.beat("executor", state="bye")
    await asyncio.wait_for(gone.wait(), PATIENCE_S)
    request_states = gateway.context.request_states
    begin, begun = request_states.begin_state, asyncio.Event()

    def begin_state(*arguments: Any, **more: Any) -> Any:
        begun.set()
        return begin(*arguments, **more)

    monkeypatch.setattr(request_states, "begin_state", begin_state)
    request = asyncio.create_task(http.post(PATH, json=BODY))
    await asyncio.wait_for(begun.wait(), PATIENCE_S)
    assert pipeline.generates == []
    pipeline.peers["executor"] = executor
    assert (await request).json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "


@pytest.mark.parametrize("started", [True, False])
async def test_what_had_started_is_aborted_although_it_was_refused(
    http: httpx.AsyncClient, pipeline: Any, started: bool
) -> None:
    """A detokenizer may have text of it, and hears of aborts only."""

    async def play(g: Any) -> None:
        if g.attempt:
            await pipeline.answer(g)
            return
        await (pipeline.words(g, 0, 2) if started else pipeline.accept(g))
        await pipeline.refuse(g, "unavailable")

    pipeline.play = play
    assert (await http.post(PATH, json=BODY)).json()["choices"][0]["text"] == "w0 w1 w2 w3 w4 "
    await pipeline.bus.barrier()
    assert pipeline.aborts.qsize() == started


async def test_attempts_of_a_stream_that_is_read_on_are_later_than_all_others(
    http: httpx.AsyncClient, pipeline: Any
) -> None:
    """Another connection may have begun attempts that no detokenizer knows: schedulers drop what is not later."""
    body = {**BODY, "stream": True, "stream_options": {"event_ids": True}}
    whole = (await http.post(PATH, json=body)).text
    first_id = next(line for line in whole.splitlines() if line.startswith("id: ")).removeprefix("id: ")

    async def resume(asked: Resume) -> Resumed:
        text = "w0 w1 "[asked.num_chars :]
        return Resumed(found=True, attempt=3, token_ids=pack([100, 101]), text=text, num_prompt_tokens=7)

    await pipeline.bus.answer(subjects.resume("tiny", "detokenizer-0"), Resume, resume)
    await pipeline.bus.barrier()
    rest = (await http.post(PATH, json=body, headers={"Last-Event-ID": first_id})).text
    told = [json.loads(line[6:])["choices"][0]["text"] for line in rest.splitlines() if line.startswith("data: {")]
    assert "".join(told) in "w0 w1 w2 w3 w4 "
    assert told
    assert outputs(pipeline)[-1] == [100, 101]
    now_ms = int(time.time() * 1e3) % CLOCK_ATTEMPTS
    assert now_ms - 20_000 < pipeline.generates[-1].attempt <= now_ms < CLOSED
