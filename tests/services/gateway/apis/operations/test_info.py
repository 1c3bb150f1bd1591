"""What a gateway says of itself and of the others, and the two routes that ask them to do something."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.services.gateway.policy import GatewayPolicy
from xylem.shared.protocol import Capacity, Control, ControlReply, FinishReason, Generate, subjects

CAPACITY = Capacity(num_pages=100, page_size=16, max_running=8, token_budget=64)


async def heard(gateway: Any, pipeline: Any, kind: str, **changes: Any) -> None:
    """Returns when the gateway has heard a heartbeat with these changes."""
    came = asyncio.Event()
    gateway.directory.on_beat(
        lambda peer: came.set() if all(getattr(peer, name) == value for name, value in changes.items()) else None
    )
    await pipeline.beat(kind, **changes)
    await asyncio.wait_for(came.wait(), PATIENCE_S)


@pytest.mark.parametrize("path", ["/model_info", "/get_model_info"])
async def test_model_info(http: httpx.AsyncClient, gateway: Any, path: str) -> None:
    info = (await http.get(path)).json()
    assert info["model_path"] == gateway.settings.model
    assert info["tokenizer_path"] == str(gateway.context.card.path)
    assert (info["is_generation"], info["context_length"], info["vocab_size"]) == (True, 256, 512)
    assert info["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.parametrize("path", ["/server_info", "/get_server_info"])
async def test_server_info_tells_no_secret(serving: Any, pipeline: Any, nats_url: str, path: str) -> None:
    secret_url = nats_url.replace("nats://", "nats://user:geheim@")
    async with (
        serving(nats_url=secret_url, max_open_requests=77) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        await heard(gateway, pipeline, "executor", capacity=CAPACITY)
        response = await http.get(path)
    info = response.json()
    assert "geheim" not in response.text
    assert "nats" not in response.text.lower()
    assert info["settings"]["max_open_requests"] == 77
    assert {"kind": "executor", "id": "executor-0", "state": "ready"} in info["services"]
    assert len(info["internal_states"]) == 1
    assert isinstance(info["version"], str)


async def test_loads(http: httpx.AsyncClient, gateway: Any, pipeline: Any) -> None:
    await heard(gateway, pipeline, "executor", capacity=CAPACITY, running=3, free_pages=25, total_pages=100)
    await heard(gateway, pipeline, "scheduler", group="default", running=4, waiting=2, free_pages=75, total_pages=100)
    answer = (await http.get("/v1/loads")).json()
    (load,) = answer["loads"]
    (executor,) = load.pop("executors")
    assert load == {
        "dp_rank": 0,
        "scheduler": "scheduler-0",
        "num_running_reqs": 4,
        "num_waiting_reqs": 2,
        "num_total_reqs": 6,
        "num_used_tokens": 400,
        "max_total_num_tokens": 1600,
        "token_usage": 0.25,
        "max_running_requests": 8,
        "utilization": 0.5,
        "gen_throughput": None,
        "free_pages": 75,
        "total_pages": 100,
    }
    assert (executor["id"], executor["num_running_reqs"], executor["free_pages"]) == ("executor-0", 3, 25)
    assert answer["dp_rank_count"] == 1
    assert answer["aggregate"]["total_reqs"] == 6
    assert answer["aggregate"]["avg_token_usage"] == 0.25
    await heard(gateway, pipeline, "scheduler", state="standby")
    empty = (await http.get("/v1/loads")).json()
    assert (empty["loads"], empty["aggregate"]["total_reqs"]) == ([], 0)
    assert (await http.get("/server_info")).json()["internal_states"] == [{}]


async def test_flush_cache(http: httpx.AsyncClient, pipeline: Any) -> None:
    asked: list[Control] = []
    failing = False

    async def answer(control: Control) -> ControlReply:
        asked.append(control)
        detail: dict[str, Any] = {"waiting": 0, "executors": {"e": {"free": 9, "total": 10, "cached": 1}}}
        return ControlReply(not failing, json.dumps({"error": "no books"} if failing else detail).encode())

    await pipeline.bus.answer(subjects.control("scheduler", "scheduler-0"), Control, answer)
    await pipeline.bus.barrier()
    for method in ("POST", "GET"):
        response = await http.request(method, "/flush_cache")
        assert response.status_code == 200
        assert response.json() == {
            "success": True,
            "schedulers": [{"scheduler": "scheduler-0", "executors": {"e": {"free_pages": 9, "total_pages": 10}}}],
        }
    assert [control.command for control in asked] == ["flush", "flush"]
    failing = True
    response = await http.post("/flush_cache")
    assert response.status_code == 502
    assert response.json() == {"success": False, "schedulers": [{"scheduler": "scheduler-0", "error": "no books"}]}


async def test_flush_cache_when_the_scheduler_does_not_answer(http: httpx.AsyncClient) -> None:
    response = await http.post("/flush_cache")
    assert response.status_code == 502
    assert response.json()["success"] is False


async def test_flush_cache_without_a_scheduler(http: httpx.AsyncClient, gateway: Any, pipeline: Any) -> None:
    gone = asyncio.Event()
    gateway.directory.on_change(lambda presence, alive: gone.set() if not alive else None)
    await pipeline.beat("scheduler", state="bye")
    await asyncio.wait_for(gone.wait(), PATIENCE_S)
    assert (await http.post("/flush_cache")).status_code == 503


async def test_health_generate(http: httpx.AsyncClient, gateway: Any, pipeline: Any) -> None:
    response = await http.get("/health_generate")
    assert response.status_code == 200
    assert response.json()["status"] == "healthy"
    (sent,) = pipeline.generates
    assert (sent.params.stop_conditions.max_tokens, sent.params.stop_conditions.ignore_eos) == (1, True)
    assert len(gateway.context.request_states) == 0


async def test_health_generate_counts_against_no_limit(serving: Any, pipeline: Any) -> None:
    opened, playing = asyncio.Event(), asyncio.Semaphore(0)

    async def play(g: Any) -> None:
        playing.release()
        await pipeline.accept(g)
        await opened.wait()
        await pipeline.words(g, 0, 1, FinishReason.LENGTH)

    pipeline.play = play
    async with (
        serving(max_open_requests=1) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        checks = [asyncio.create_task(http.get("/health_generate")) for _ in range(2)]
        for _ in checks:
            await asyncio.wait_for(playing.acquire(), PATIENCE_S)
        asked = asyncio.create_task(http.post("/v1/completions", json={"model": "tiny", "prompt": "Hi"}))
        await asyncio.wait_for(playing.acquire(), PATIENCE_S)
        opened.set()
        assert [(await each).status_code for each in (*checks, asked)] == [200] * 3


async def test_health_generate_of_a_silent_pipeline(serving: Any, pipeline: Any) -> None:
    pipeline.play = pipeline.accept
    async with (
        serving(GatewayPolicy(health_timeout_s=0.2)) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        response = await http.get("/health_generate")
        assert response.status_code == 503
        assert "0.2 s" in response.json()["error"]["message"]
        abort = await asyncio.wait_for(pipeline.aborts.get(), PATIENCE_S)
        assert abort.request_id == pipeline.generates[0].request_id
        assert len(gateway.context.request_states) == 0


async def test_health_generate_of_a_pipeline_that_refuses(http: httpx.AsyncClient, pipeline: Any) -> None:
    async def play(g: Generate) -> None:
        await pipeline.refuse(g, "queue_full", "too many wait")

    pipeline.play = play
    response = await http.get("/health_generate")
    assert response.status_code == 503
    assert "too many wait" in response.json()["error"]["message"]


async def test_health_generate_says_what_is_missing(serving: Any, pipeline: Any) -> None:
    async with (
        serving(repair_s=0) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        gone = asyncio.Event()
        gateway.directory.on_change(lambda presence, alive: gone.set() if not alive else None)
        await pipeline.beat("router", state="bye")
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
        response = await http.get("/health_generate")
    assert response.status_code == 503
    assert "router" in response.json()["error"]["message"]
