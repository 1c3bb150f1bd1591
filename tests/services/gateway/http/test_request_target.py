"""Paths and methods in the spellings that clients have, and what every answer carries."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.patience import PATIENCE_S
from xylem.shared.protocol import FinishReason, Generate


@pytest.mark.parametrize(
    "path", ["//v1/completions", "/v1/completions/", "/v1//completions//", "///v1/completions?x=//"]
)
async def test_slashes_too_many_are_passed_over(http: httpx.AsyncClient, path: str) -> None:
    url = f"{str(http.base_url).rstrip('/')}{path}"
    answer = await http.post(url, json={"prompt": "a", "max_tokens": 1}, follow_redirects=False)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/v1/models", "/v1/models/tiny", "/metrics", "/openapi.json", "/"]
)
async def test_head_is_get_without_the_body(http: httpx.AsyncClient, path: str) -> None:
    whole, head = await http.get(path), await http.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/v1/responses/compacted", 404, None),
        ("POST", "/v1/chat/completions/more", 404, None),
        ("GET", "/v1/nothing", 404, None),
        ("HEAD", "/v1/nothing", 404, None),
        ("GET", "/v1/completions", 405, "POST"),
        ("HEAD", "/v1/completions", 405, "POST"),
        ("POST", "/v1/models/", 405, "GET, HEAD"),
        ("PATCH", "/v1/responses/resp_0", 405, "DELETE, GET, HEAD"),
        ("PUT", "/flush_cache", 405, "GET, HEAD, POST"),
    ],
)
async def test_unknown_paths_and_wrong_methods(
    http: httpx.AsyncClient, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)


@pytest.mark.parametrize("given", ["abc-1", "req_7f:x.y/z+w=@~", "6f1c2a1e-7d7e-4d3e-9d59-1f7ac7bb0d0e", "a" * 128])
async def test_a_request_id_is_taken(http: httpx.AsyncClient, given: str) -> None:
    for path in ("/health", "/nowhere"):
        assert (await http.get(path, headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, "<script>", 'a"b', "a;b"])
async def test_every_answer_has_a_request_id(http: httpx.AsyncClient, given: str | None) -> None:
    headers = {} if given is None else {"x-request-id": given}
    seen = {(await http.get(path, headers=headers)).headers["x-request-id"] for path in ("/health", "/nowhere")}
    seen.add((await http.post("/v1/completions", json={}, headers=headers)).headers["x-request-id"])
    assert len(seen) == 3
    assert all(re.fullmatch("req_[0-9a-f]{32}", each) for each in seen)


async def test_limits_are_told_as_clients_of_the_api_know_them(serving: Any) -> None:
    body = {"model": "tiny", "max_tokens": 2, "messages": [{"role": "user", "content": "a"}]}
    async with (
        serving(max_open_requests=7) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
    ):
        openai = await http.post("/v1/chat/completions", json=body)
        anthropic = await http.post("/v1/messages", json=body)
    assert openai.headers["x-ratelimit-limit-requests"] == "7"
    assert openai.headers["x-ratelimit-remaining-requests"] == "7"  # it has ended
    assert openai.headers["x-ratelimit-reset-requests"] == "1s"
    assert anthropic.headers["anthropic-ratelimit-requests-limit"] == "7"
    assert anthropic.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert anthropic.headers["request-id"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses", "/v1/messages"])
async def test_a_stream_on_which_nothing_comes_is_pinged(serving: Any, pipeline: Any, path: str) -> None:
    """Twice before the first token, and twice before the last; the client says when it has seen them."""
    seen: list[str] = []
    pinged = asyncio.Semaphore(0)

    async def slow(g: Generate) -> None:
        await pipeline.accept(g)
        await pinged.acquire()
        await pipeline.words(g, 0, 1)
        await pinged.acquire()
        await pipeline.text(g, 1, [101], "end", FinishReason.STOP)

    pipeline.play = slow
    body: dict[str, Any] = {"prompt": "a"} if path.endswith("completions") else {"input": "a"}
    if path.endswith("messages"):
        body = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
    async with (
        serving(ping_s=0.05) as service,
        httpx.AsyncClient(base_url=service.server.url, timeout=PATIENCE_S) as http,
        http.stream("POST", path, json={**body, "stream": True}) as answer,
    ):
        assert answer.status_code == 200
        num_pings = 0
        async for line in answer.aiter_lines():
            seen.append(line)
            num_pings += line == ": ping"
            if line == ": ping" and num_pings % 2 == 0:
                pinged.release()
    assert num_pings >= 4
    assert "w0" in "".join(seen)
    assert "end" in "".join(seen)
