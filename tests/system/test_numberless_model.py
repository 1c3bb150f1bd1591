"""A model folder with NaN in it, served: errors that say so, a metric that counts them, and a healthy rest."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from safetensors.torch import load_file, save_file

from tests.patience import PATIENCE_S
from tests.serving import serving

pytestmark = pytest.mark.timeout(400)

PATH = "/v1/completions"


def count_of(http: httpx.Client) -> float:
    lines = http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("xylem_model_failures_total "))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[httpx.Client]:
    """A server of the demonstration model, in which the embedding of one letter is no number."""
    folder = tmp_path_factory.mktemp("broken")
    model = folder / "model"
    shutil.copytree(demo_model, model)
    tokens = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    tensors = load_file(model / "model.safetensors")
    # With a head of its own, the bad row is met by who has the letter in the prompt, and by nobody else.
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.embed_tokens.weight"][tokens["z"]] = float("nan")
    save_file(tensors, model / "model.safetensors")
    with (
        serving(folder, "--model", str(model)) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE_S) as http,
    ):
        yield http


def test_only_who_meets_it_fails(broken: httpx.Client) -> None:
    good = {"prompt": "What is the capital of France?", "max_tokens": 4, "temperature": 0}
    text = broken.post(PATH, json=good).json()["choices"][0]["text"]
    before = count_of(broken)
    refused = broken.post(PATH, json={**good, "prompt": "z"})
    assert refused.status_code == 500, refused.text
    error = refused.json()["error"]
    assert error["code"] == "model_failure"
    assert "gave no number" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert count_of(broken) == before + 1
    assert broken.post(PATH, json=good).json()["choices"][0]["text"] == text
    assert broken.get("/health_generate").status_code == 200


def test_neither_embeddings_nor_log_probabilities_are_null(broken: httpx.Client) -> None:
    for path, body in (
        ("/v1/embeddings", {"input": "z"}),
        (PATH, {"prompt": "z", "max_tokens": 1, "logprobs": 2, "echo": True}),
        ("/generate", {"text": "z", "return_logprob": True, "logprob_start_len": 0}),
    ):
        response = broken.post(path, json=body)
        assert response.status_code == 500, f"{path}: {response.text}"
        assert "gave no number" in response.text


def test_a_poisoned_prefix_is_not_cached(broken: httpx.Client) -> None:
    """Pages of 16 tokens, of which all from the bad one on hold no number; what lies before it is good, and kept."""
    head = "The quick brown fox jumps over the slow dog, again and again, until it is dark outside and the moon is up. "
    body = {"max_tokens": 2, "temperature": 0}
    for prompt in (head + "z" * 80, head + "z" * 80, head.replace("dark", "late") + "z" * 80):
        assert broken.post(PATH, json={**body, "prompt": prompt}).status_code == 500
    fine = broken.post(PATH, json={**body, "prompt": head.replace("dark", "late")})
    assert fine.status_code == 200, fine.text
