"""Token ids of another model's vocabulary are a 400 that names the field, in every API that takes ids."""

from typing import Any

import httpx
import pytest

from xylem.shared.runtime.errors import ContextTooLong

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
    # Prompts
    ("/v1/completions", {"prompt": [1, VOCAB_SIZE]}, "prompt"),
    ("/v1/completions", {"prompt": [[1], [2, 2**31 - 1]]}, "prompt"),
    ("/generate", {"input_ids": [VOCAB_SIZE]}, "input_ids"),
    ("/generate", {"input_ids": [[1], [151_645]]}, "input_ids"),
    ("/v1/embeddings", {"input": [1, VOCAB_SIZE]}, "input"),
    ("/v1/embeddings", {"input": [[1], [151_645]]}, "input"),
    ("/v1/score", {"query": [151_645], "items": [[1]], "label_token_ids": [1]}, "query"),
    ("/v1/score", {"query": [1], "items": [[1], [VOCAB_SIZE]], "label_token_ids": [1]}, "items"),
    ("/v1/score", {"text_1": [[VOCAB_SIZE]], "text_2": [[1]]}, "text_1"),
    ("/v1/score", {"text_1": [[1]], "text_2": [[1], [VOCAB_SIZE]]}, "text_2"),
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


@pytest.mark.parametrize(
    ("path", "body", "told", "param"),
    [
        ("/generate", {"text": "Hi"}, "prompt", "text"),
        ("/generate", {"input_ids": [1]}, "prompt", "input_ids"),
        ("/generate", {"text": "Hi"}, "max_tokens", "sampling_params.max_new_tokens"),
        ("/generate", {"text": "Hi", "stream": True}, "max_tokens", "sampling_params.max_new_tokens"),
        ("/v1/embeddings", {"input": "Hi"}, "prompt", "input"),
    ],
)
async def test_what_only_the_tokenizer_knows_has_the_name_of_the_api(
    http: httpx.AsyncClient, pipeline: Any, path: str, body: dict[str, Any], told: str, param: str
) -> None:
    async def play(g: Any) -> None:
        await pipeline.refuse(g, ContextTooLong.code, f"{told} is too much", param=told)

    pipeline.play = play
    response = await http.post(path, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert (error["param"], error["message"]) == (param, f"{param} is too much")


async def test_a_known_stop_token_is_taken(http: httpx.AsyncClient, pipeline: Any) -> None:
    body = {"prompt": "Hi", "max_tokens": 3, "stop_token_ids": [VOCAB_SIZE - 1]}
    assert (await http.post("/v1/completions", json=body)).status_code == 200
    assert len(pipeline.generates) == 1
