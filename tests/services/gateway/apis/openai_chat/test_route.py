"""Chat over real HTTP: shapes, streams, statuses."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import chat_templates
from xylem.shared.protocol import FinishReason

PATH = "/v1/chat/completions"


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, **more}


async def events(http: httpx.AsyncClient, path: str, payload: dict[str, Any]) -> list[dict[str, Any]]:
    async with http.stream("POST", path, json={**payload, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line[6:] async for line in response.aiter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_whole_answer(http: httpx.AsyncClient, pipeline: Any) -> None:
    answer = (await http.post(PATH, json=body())).json()
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", "tiny")
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "w0 w1 w2 ", "refusal": None},
            "finish_reason": "length",
            "logprobs": None,
            "matched_stop": None,
        }
    ]
    assert answer["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    (generate,) = pipeline.generates
    assert json.loads(generate.messages) == [{"role": "user", "content": "Hi"}]
    assert (generate.gateway, generate.detokenizer, generate.attempt) == ("gw", "detokenizer-0", 0)


async def test_stream(http: httpx.AsyncClient) -> None:
    chunks = await events(http, PATH, body())
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    deltas = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(deltas) == "w0 w1 w2 "
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"][0]["finish_reason"]] == ["length"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["object"] == "chat.completion.chunk" and "usage" not in chunk for chunk in chunks)


async def test_stream_with_usage(http: httpx.AsyncClient) -> None:
    *chunks, last = await events(http, PATH, body(stream_options={"include_usage": True}))
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)


async def test_continuous_usage(http: httpx.AsyncClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = await events(http, PATH, body(stream_options=options))
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[-1] == 3


async def test_several_choices(http: httpx.AsyncClient, pipeline: Any) -> None:
    answer = (await http.post(PATH, json=body(n=3, seed=5))).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["prompt_tokens"] == 7
    assert answer["usage"]["completion_tokens"] == 9
    assert sorted(g.params.sampling.seed for g in pipeline.generates) == [5, 6, 7]
    chunks = await events(http, PATH, body(n=2))
    finished = [c["choices"][0]["index"] for c in chunks if c["choices"][0]["finish_reason"]]
    assert sorted(finished) == [0, 1]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("context_length_exceeded", 400),
        ("queue_full", 429),
        ("payload_too_large", 413),
        ("deadline_exceeded", 504),
        ("internal_error", 500),
        ("something_newer", 500),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_stage_refuses(http: httpx.AsyncClient, pipeline: Any, code: str, status: int, *, stream: bool) -> None:
    async def play(g: Any) -> None:
        await pipeline.refuse(g, code, "the prompt does not fit", param="messages", retry_after_s=2.5)

    pipeline.play = play
    response = await http.post(PATH, json=body(stream=stream))
    assert response.status_code == status
    error = response.json()["error"]
    assert error["message"] == "the prompt does not fit"
    assert error["param"] == "messages"
    assert response.headers.get("retry-after") == ("3" if status == 429 else None)
    assert pipeline.aborts.empty()


@pytest.mark.parametrize(
    "bad",
    [
        {"max_tokens": "many"},
        {"max_tokens": -1},
        {"max_tokens": 0},
        {"temperature": -1},
        {"temperature": "hot"},
        {"top_p": 2},
        {"n": 0},
        {"messages": []},
        {"messages": "hi"},
        {"messages": [{"role": "wizard", "content": "x"}]},
        {"stop": [1]},
        {"top_logprobs": 500, "logprobs": True},
        {"logit_bias": {"999999999": 1}},
        {"stream": "yes please"},
    ],
)
async def test_bad_fields_are_named(http: httpx.AsyncClient, bad: dict[str, Any]) -> None:
    response = await http.post(PATH, json=body(**bad))
    assert response.status_code == 400
    assert response.json()["error"]["param"].split("[")[0] == next(iter(bad))


async def test_unknown_model(http: httpx.AsyncClient) -> None:
    response = await http.post(PATH, json=body(model="other"))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("data", [b'{"model": ', b'{"model": "\xff\xfe"}', b"[]", b"", b"[" * 100_000])
async def test_bad_bodies(http: httpx.AsyncClient, data: bytes) -> None:
    response = await http.post(PATH, content=data)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.fixture
def thinking_folder(model_folder: Path) -> Path:
    (model_folder / "chat_template.jinja").write_text(chat_templates.ALWAYS_THINKING, encoding="utf-8")
    return model_folder


@pytest.mark.parametrize(
    ("prefix", "text", "thoughts", "content"),
    [
        ("<think>\n", "Hm.\n</think>\n\nYes", "Hm.", "Yes"),
        ("<think></think>", "Yes", None, "Yes"),
        ("", "<think>Hm.</think>Yes", "Hm.", "Yes"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"chat_template_kwargs": {"enable_thinking": False}}])
async def test_the_prompt_says_whether_an_answer_begins_with_thoughts(
    thinking_folder: Path,
    http: httpx.AsyncClient,
    pipeline: Any,
    prefix: str,
    text: str,
    thoughts: str | None,
    content: str,
    more: dict[str, Any],
) -> None:
    async def play(g: Any) -> None:
        await pipeline.accept(g)
        await pipeline.text(g, 0, [1], text[:4], prefix=prefix)
        await pipeline.text(g, 1, [2], text[4:], FinishReason.STOP)

    pipeline.play = play
    message = (await http.post(PATH, json=body(**more))).json()["choices"][0]["message"]
    assert (message.get("reasoning_content"), message["content"]) == (thoughts, content)
    assert {"<think>", "</think>"} <= set(pipeline.generates[0].answer_markers)
    deltas = [chunk["choices"][0]["delta"] for chunk in await events(http, PATH, body(**more))]
    assert "".join(delta.get("content") or "" for delta in deltas) == content
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == (thoughts or "")
