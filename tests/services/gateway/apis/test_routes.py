"""The small routes, the errors of the framework, and OpenAI's own client."""

import asyncio
import json
from datetime import datetime
from typing import Any

import httpx
import openai
import pytest

from tests.patience import PATIENCE_S
from tests.services.gateway.conftest import MODEL
from xylem.shared.protocol import PROTOCOL_VERSION, Presence


async def test_models(http: httpx.AsyncClient, gateway: Any) -> None:
    listed = (await http.get("/v1/models")).json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"], model["max_model_len"]) == ("tiny", "model", 256)
    assert (model["root"], model["parent"], model["display_name"]) == (gateway.settings.model, None, "tiny")
    assert (model["type"], model["max_input_tokens"]) == ("model", 256)
    assert datetime.fromisoformat(model["created_at"]).timestamp() == model["created"]
    assert isinstance(model["created"], int)
    assert (await http.get("/v1/models/tiny")).json() == model
    missing = await http.get("/v1/models/org/other")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_tokenize_and_back(http: httpx.AsyncClient, prefix: str) -> None:
    text = "héllo 你好"
    answer = (await http.post(f"{prefix}/tokenize", json={"model": "tiny", "prompt": text})).json()
    assert answer == {"tokens": list(map(ord, text)), "count": len(text), "max_model_len": 256}
    back = await http.post(f"{prefix}/detokenize", json={"model": "tiny", "tokens": answer["tokens"]})
    assert back.json() == {"prompt": text}


async def test_tokenize_messages(http: httpx.AsyncClient) -> None:
    messages = [{"role": "user", "content": "x"}]
    answer = (await http.post("/tokenize", json={"messages": messages})).json()
    assert json.loads("".join(map(chr, answer["tokens"]))) == messages
    wrong: list[dict[str, Any]] = [{}, {"prompt": "x", "messages": messages}, {"prompt": 1}, {"messages": []}]
    for bad in wrong:
        assert (await http.post("/tokenize", json=bad)).status_code == 400
    assert (await http.post("/detokenize", json={"tokens": [2**31 - 1]})).status_code == 400
    assert (await http.post("/detokenize", json={"tokens": ["1"]})).status_code == 400


async def test_errors_of_the_framework(http: httpx.AsyncClient) -> None:
    for response, status, code in (
        (await http.get("/v1/nothing"), 404, "not_found"),
        (await http.get("/v1/chat/completions"), 405, "method_not_allowed"),
        (await http.delete("/v1/models"), 405, "method_not_allowed"),
    ):
        assert response.status_code == status
        error = response.json()["error"]
        assert error["code"] == code
        assert len(error["message"]) > 10
    assert response.headers["allow"] == "GET, HEAD"


async def test_an_error_of_ours_shows_no_traceback(
    gateway: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.context.metrics, "render", lambda: 1 / 0)
    response = await http.get("/metrics")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert response.headers["x-should-retry"] == "false"
    assert "retry-after" not in response.headers
    assert "Traceback" not in response.text
    assert (await http.get("/health")).status_code == 200


async def test_ready_says_what_is_missing(serving: Any, pipeline: Any) -> None:
    async with (
        serving(repair_s=0) as gateway,
        httpx.AsyncClient(base_url=gateway.server.url, timeout=PATIENCE_S) as http,
    ):
        assert (await http.get("/ready")).status_code == 200
        gone = asyncio.Event()
        gateway.directory.on_change(lambda presence, alive: gone.set() if not alive else None)
        await pipeline.beat("executor", state="bye")
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
        response = await http.get("/ready")
        assert response.status_code == 503
        assert response.json()["missing"] == ["executor"]
        other = Presence("executor", "executor-0", 1, MODEL, version=PROTOCOL_VERSION + 1)
        await gateway.directory._on_presence(other)
        sentence = f"executor executor-0 speaks protocol {PROTOCOL_VERSION + 1}, this is {PROTOCOL_VERSION}"
        assert (await http.get("/ready")).json()["refused"] == [sentence]
        refused = await http.post("/v1/completions", json={"prompt": "x"})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "executor" in refused.json()["error"]["message"]
    assert pipeline.generates == []


async def test_metrics(http: httpx.AsyncClient, gateway: Any, pipeline: Any) -> None:
    await http.post("/v1/completions", json={"prompt": "x", "max_tokens": 3})
    seen = asyncio.Event()
    gateway.directory.on_change(lambda presence, alive: seen.set())
    await pipeline.beat("scheduler", running=3, waiting=2, free_pages=5, total_pages=9, epoch=2)
    await asyncio.wait_for(seen.wait(), PATIENCE_S)
    lines = (await http.get("/metrics")).text.splitlines()
    for line in (
        'xylem_running_requests{scheduler="scheduler-0"} 3.0',
        'xylem_waiting_requests{scheduler="scheduler-0"} 2.0',
        'xylem_free_pages{scheduler="scheduler-0"} 5.0',
        'xylem_total_pages{scheduler="scheduler-0"} 9.0',
        "xylem_prompt_tokens_total 7.0",
        "xylem_cached_tokens_total 4.0",
        "xylem_generation_tokens_total 3.0",
        "xylem_open_requests 0.0",
        "xylem_time_to_first_token_seconds_count 1.0",
        'xylem_requests_total{route="/v1/completions",status="200"} 1.0',
    ):
        assert line in lines


async def test_openapi_lists_the_routes(http: httpx.AsyncClient) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert set(schema["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/cancel",
        "/v1/responses/{response_id}/input_items",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/models",
        "/v1/models/{model}",
        "/generate",
        "/v1/embeddings",
        "/v1/score",
        "/v1/rerank",
        "/tokenize",
        "/detokenize",
        "/health",
        "/health_generate",
        "/ready",
        "/model_info",
        "/server_info",
        "/v1/loads",
        "/flush_cache",
        "/abort_request",
        "/metrics",
    }
    body = schema["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["temperature"]["maximum"] == 2
    for path, (name, shape) in {
        "/v1/responses": ("input", {"error"}),
        "/v1/messages": ("messages", {"type", "error"}),
        "/v1/messages/count_tokens": ("messages", {"type", "error"}),
    }.items():
        operation = schema["paths"][path]["post"]
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        assert name in body["required"]
        error = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert set(error["required"]) == shape


async def test_openai_client(gateway: Any, pipeline: Any) -> None:
    async def play(g: Any) -> None:
        await pipeline.words(g, 0, g.params.stop_conditions.max_tokens, 1)

    pipeline.play = play  # stops by itself: the client's helpers raise on finish_reason length
    async with openai.AsyncOpenAI(base_url=f"{gateway.server.url}/v1", api_key="none", max_retries=0) as client:
        (model,) = (await client.models.list()).data
        assert (await client.models.retrieve(model.id)).id == "tiny"
        messages: list[Any] = [{"role": "user", "content": "Hi"}]
        whole = await client.chat.completions.create(model="tiny", messages=messages, max_completion_tokens=3)
        assert whole.choices[0].message.content == "w0 w1 w2 "
        assert whole.usage is not None
        assert whole.usage.prompt_tokens_details is not None
        async with client.chat.completions.stream(model="tiny", messages=messages, max_tokens=3) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == "w0 w1 w2 "
        assert final.choices[0].finish_reason == "stop"
        text = await client.completions.create(model="tiny", prompt="x", max_tokens=2)
        assert text.choices[0].text == "w0 w1 "
        with pytest.raises(openai.BadRequestError, match="temperature"):
            await client.chat.completions.create(model="tiny", messages=messages, temperature=3)
