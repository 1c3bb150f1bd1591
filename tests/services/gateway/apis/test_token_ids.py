"""Token ids of another model's vocabulary are a 400 that names the field, in every API that takes ids."""

from typing import Any

import httpx
import pytest

VOCAB_SIZE = 512
MESSAGES = [{"role": "user", "content": "Hi"}]

PLACES: list[tuple[str, dict[str, Any], str]] = [
    (
        "/v1/completions",
        {"prompt": "Hi", "max_tokens": 8, "min_tokens": 4, "stop_token_ids": [151_645]},
        "stop_token_ids",
    ),
    ("/v1/completions", {"prompt": "Hi", "stop_token_ids": [1, VOCAB_SIZE]}, "stop_token_ids"),
    ("/v1/completions", {"prompt": "Hi", "logit_bias": {str(VOCAB_SIZE): 1}}, "logit_bias"),
    ("/v1/chat/completions", {"messages": MESSAGES, "stop_token_ids": [2**31 - 1]}, "stop_token_ids"),
    ("/v1/chat/completions", {"messages": MESSAGES, "logit_bias": {"151645": -100}}, "logit_bias"),
    (
        "/generate",
        {"text": "Hi", "sampling_params": {"stop_token_ids": [VOCAB_SIZE]}},
        "sampling_params.stop_token_ids",
    ),
    ("/generate", {"text": "Hi", "return_logprob": True, "token_ids_logprob": [VOCAB_SIZE]}, "token_ids_logprob"),
    ("/v1/score", {"query": "a", "items": ["b"], "label_token_ids": [1, VOCAB_SIZE]}, "label_token_ids"),
]


@pytest.mark.parametrize(("path", "body", "param"), PLACES, ids=[f"{path} {param}" for path, _, param in PLACES])
async def test_an_unknown_id_names_its_field(
    http: httpx.AsyncClient, pipeline: Any, path: str, body: dict[str, Any], param: str
) -> None:
    response = await http.post(path, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["param"] == param
    assert "outside the model's vocabulary" in error["message"]
    assert pipeline.generates == []


async def test_a_known_stop_token_is_taken(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {"prompt": "Hi", "max_tokens": 3, "stop_token_ids": [VOCAB_SIZE - 1]}
    assert (await http.post("/v1/completions", json=body)).status_code == 200
    assert len(pipeline.generates) == 1
