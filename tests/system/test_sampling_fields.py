"""Penalties, log probabilities and embeddings through HTTP are those of transformers on the same weights."""

import math
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from tests.serving import Served

PROMPT = "Once upon a time there was a fox"


@pytest.fixture(scope="module")
def peer(demo_model: Path) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(demo_model, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer(demo_model: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(demo_model)


def post(served: Served, path: str, **fields: Any) -> dict[str, Any]:
    response = httpx.post(served.url + path, json={"model": "demonstration", **fields}, timeout=60)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_repetition_penalty(served: Served, peer: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    expected = peer.generate(ids, do_sample=False, max_new_tokens=40, repetition_penalty=1.4, eos_token_id=None)
    for _ in range(2):  # the second time from the cache
        answer = post(
            served, "/v1/completions", prompt=PROMPT, temperature=0, max_tokens=40, repetition_penalty=1.4,
            ignore_eos=True, skip_special_tokens=False,
        )  # fmt: skip
        assert answer["choices"][0]["text"] == tokenizer.decode(expected[0, ids.shape[1] :])


@pytest.mark.parametrize("cached", [False, True])
def test_log_probabilities_of_prompt_and_answer(
    served: Served, peer: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, cached: bool
) -> None:
    if cached:
        post(served, "/v1/completions", prompt=PROMPT, max_tokens=1)
    answer = post(served, "/v1/completions", prompt=PROMPT, temperature=0, max_tokens=8, echo=True, logprobs=2)
    logprobs = answer["choices"][0]["logprobs"]
    ids = tokenizer(PROMPT).input_ids
    ids = ids + tokenizer(answer["choices"][0]["text"][len(PROMPT) :], add_special_tokens=False).input_ids
    assert [tokenizer.decode([token]) for token in ids] == logprobs["tokens"][: len(ids)]
    after = peer(torch.tensor([ids])).logits[0].detach().float().log_softmax(-1)
    expected = [float(after[i, token]) for i, token in enumerate(ids[1:])]
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["token_logprobs"][1 : len(ids)] == pytest.approx(expected, abs=1e-4)
    text = answer["choices"][0]["text"]
    for token, offset in zip(logprobs["tokens"], logprobs["text_offset"], strict=True):
        if not token.startswith("<|"):
            assert text[offset:].startswith(token)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_embeddings(served: Served, peer: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, pooling: str) -> None:
    texts = [PROMPT, "Hello", "A phone number"]
    answer = post(served, "/v1/embeddings", input=texts, pooling=pooling)
    for text, data in zip(texts, answer["data"], strict=True):
        states = peer.model(tokenizer(text, return_tensors="pt").input_ids).last_hidden_state[0].detach()
        pooled = states[-1] if pooling == "last" else states.mean(0)
        assert data["embedding"] == pytest.approx((pooled / pooled.norm()).tolist(), abs=1e-4)
        assert math.isclose(math.hypot(*data["embedding"]), 1.0, abs_tol=1e-5)
