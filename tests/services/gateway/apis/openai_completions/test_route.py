"""Completions: prompts of all kinds, echo."""

import json
from typing import Any

import httpx

from xylem.shared.protocol.columns import pack

PATH = "/v1/completions"


async def test_list_prompts_and_choices(http: httpx.AsyncClient, pipeline: Any) -> None:
    answer = (await http.post(PATH, json={"prompt": ["A", "B"], "n": 2, "max_tokens": 2})).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert answer["usage"]["prompt_tokens"] == 14
    assert answer["usage"]["completion_tokens"] == 8
    assert sorted(g.prompt for g in pipeline.generates) == ["A", "A", "B", "B"]


async def test_token_ids(http: httpx.AsyncClient, pipeline: Any) -> None:
    await http.post(PATH, json={"prompt": [1, 2, 3]})
    await http.post(PATH, json={"prompt": [[1, 2], [3]]})
    assert [g.token_ids for g in pipeline.generates] == [pack([1, 2, 3]), pack([1, 2]), pack([3])]
    assert all(g.params.stop_conditions.max_tokens == 16 for g in pipeline.generates)


async def test_echo(http: httpx.AsyncClient) -> None:
    for prompt in ("Hi ", [72, 105, 32]):
        body = {"prompt": prompt, "max_tokens": 2, "echo": True}
        assert (await http.post(PATH, json=body)).json()["choices"][0]["text"] == "Hi w0 w1 "
        stream = (await http.post(PATH, json={**body, "stream": True})).text
        chunks = [json.loads(line[6:]) for line in stream.split("\n\n")[:-2]]
        assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "Hi w0 w1 "


async def test_echo_alone(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {"prompt": ["Hi", [72, 111]], "max_tokens": 0, "echo": True}
    response = await http.post(PATH, json={**body, "prompt": "Hi"})
    answer = response.json()
    assert [choice["text"] for choice in answer["choices"]] == ["Hi"]
    assert answer["choices"][0]["finish_reason"] == "length"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (2, 0)
    stream = (await http.post(PATH, json={"prompt": [[72], [73]], "max_tokens": 0, "echo": True, "stream": True})).text
    assert stream.count('"finish_reason":"length"') == 2
    assert stream.endswith("data: [DONE]\n\n")
    assert pipeline.generates == []


async def test_echo_of_unknown_ids(http: httpx.AsyncClient) -> None:
    response = await http.post(PATH, json={"prompt": [2**31 - 1], "echo": True})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"
