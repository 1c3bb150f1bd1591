"""Penalties, scores and states of a whole engine over a real model are those of transformers on the same weights."""

import random
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from tests.services.executor.model_runs import GREEDY, RUNNERS, engine_of, run, runner_of
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.shared.protocol import FinishReason, LogprobParams, Logprobs, SamplingParams
from xylem.shared.protocol.columns import pack, pack_floats, unpack, unpack_floats

pytestmark = pytest.mark.usefixtures("one_thread")

EOS = 2


@pytest.fixture(scope="module")
def peer() -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(MODEL_PATH, dtype=torch.float32)


@pytest.fixture(scope="module", params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> ModelRunner:
    made: ModelRunner = runner_of(request.param, MODEL_PATH, page_size=8, num_pages=256, context_length=128)
    return made


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    draw = random.Random(11)
    return [[draw.randrange(300, 1500) for _ in range(length)] for length in (1, 7, 30)]


def generate(peer: LlamaForCausalLM, prompt: list[int], **more: Any) -> list[int]:
    ids = torch.tensor([prompt])
    given = {"do_sample": False, "max_new_tokens": 12, "eos_token_id": None, "pad_token_id": 0, **more}
    output = peer.generate(ids, attention_mask=torch.ones_like(ids), **given)
    return output[0, len(prompt) :].tolist()  # type: ignore[no-any-return]


def test_repetition_penalty(peer: LlamaForCausalLM, runner: ModelRunner, prompts: list[list[int]]) -> None:
    penalties = (1.3, 1.0, 0.7)
    requests = [
        {"prompt": prompt, "sampling": replace(GREEDY, repetition_penalty=penalty)}
        for prompt in prompts
        for penalty in penalties
    ]
    expected = [generate(peer, prompt, repetition_penalty=penalty) for prompt in prompts for penalty in penalties]
    assert [each.token_ids for each in run(engine_of(runner, token_budget=16), *requests)] == expected
    resumed = [
        {**request, "output_ids": tokens[:5], "max_new_tokens": 7}
        for request, tokens in zip(requests, expected, strict=True)
    ]
    assert [each.token_ids for each in run(engine_of(runner), *resumed)] == [tokens[5:] for tokens in expected]


def penalised(
    peer: LlamaForCausalLM, prompt: list[int], frequency: float, presence: float, bias: dict[int, float]
) -> list[int]:
    """The formula of the OpenAI API, token by token."""
    output: list[int] = []
    while len(output) < 12:
        logits = peer(torch.tensor([prompt + output])).logits[0, -1].detach()
        for token in set(output):
            logits[token] -= output.count(token) * frequency + presence
        for token, value in bias.items():
            logits[token] += value
        output.append(int(logits.argmax()))
    return output


@pytest.mark.parametrize(("frequency", "presence", "bias"), [(1.5, 0, {}), (0, -2, {}), (0.5, 1, {400: 9.0, 17: -3.0})])
def test_frequency_and_presence_penalties_and_biases(
    peer: LlamaForCausalLM,
    runner: ModelRunner,
    prompts: list[list[int]],
    frequency: float,
    presence: float,
    bias: dict[int, float],
) -> None:
    sampling = SamplingParams(
        temperature=0.0,
        frequency_penalty=frequency,
        presence_penalty=presence,
        bias_ids=pack(bias),
        bias_values=pack_floats(bias.values()),
    )
    requests = [{"prompt": prompt, "sampling": sampling} for prompt in prompts]
    expected = [penalised(peer, prompt, frequency, presence, bias) for prompt in prompts]
    assert [each.token_ids for each in run(engine_of(runner), *requests)] == expected
    resumed = [
        {**request, "output_ids": tokens[:4], "max_new_tokens": 8}
        for request, tokens in zip(requests, expected, strict=True)
    ]
    assert [each.token_ids for each in run(engine_of(runner), *resumed)] == [tokens[4:] for tokens in expected]


def test_min_tokens(peer: LlamaForCausalLM, runner: ModelRunner) -> None:
    """A prompt whose answer would end after a few tokens."""
    prompt = next(
        ids for ids in ([token] for token in range(300, 2000)) if 0 < len(generate(peer, ids, eos_token_id=EOS)) < 6
    )
    short = generate(peer, prompt, eos_token_id=EOS)
    longer = generate(peer, prompt, eos_token_id=EOS, min_new_tokens=8)
    assert len(longer) >= 8 > len(short)
    engine = engine_of(runner, eos=[EOS])
    assert run(engine, {"prompt": prompt, "min_tokens": 8})[0].token_ids == longer
    ran = run(engine_of(runner, eos=[EOS]), {"prompt": prompt})[0]
    assert (ran.token_ids, ran.finish) == (short, FinishReason.STOP)
    resumed = {"prompt": prompt, "min_tokens": 8, "output_ids": longer[:3], "max_new_tokens": 9}
    assert run(engine_of(runner, eos=[EOS]), resumed)[0].token_ids == longer[3:]


def log_softmax(peer: LlamaForCausalLM, token_ids: list[int]) -> torch.Tensor:
    """[T, V]: after each token."""
    logits: torch.Tensor = peer(torch.tensor([token_ids])).logits
    return logits[0].detach().float().log_softmax(-1)


def assert_scores(scores: Logprobs, token_ids: list[int], after: torch.Tensor, num_top: int, asked: list[int]) -> None:
    """after[i] [V] is what token_ids[i] was drawn from."""
    assert list(unpack_floats(scores.logprobs)) == pytest.approx(
        [float(row[token]) for row, token in zip(after, token_ids, strict=True)], abs=1e-4
    )
    top = after.topk(num_top)
    assert list(unpack_floats(scores.top_logprobs)) == pytest.approx(top.values.flatten().tolist(), abs=1e-4)
    assert list(unpack(scores.top_ids)) == top.indices.flatten().tolist()
    assert list(unpack_floats(scores.asked_logprobs)) == pytest.approx(after[:, asked].flatten().tolist(), abs=1e-4)


def test_scores_are_those_before_penalties_and_temperature(
    peer: LlamaForCausalLM, runner: ModelRunner, prompts: list[list[int]]
) -> None:
    logprobs = LogprobParams(num_top=3, token_ids=pack([5, 900]))
    samplings = (GREEDY, SamplingParams(temperature=0.7, seed=3, frequency_penalty=1.0))
    requests = [
        {"prompt": prompt, "sampling": sampling, "logprobs": logprobs} for prompt in prompts for sampling in samplings
    ]
    for request, ran in zip(requests, run(engine_of(runner), *requests, {"prompt": prompts[0]}), strict=False):
        prompt: Any = request["prompt"]
        after = log_softmax(peer, prompt + ran.token_ids)[len(prompt) - 1 : -1]
        assert ran.prompt_scores is None
        assert len(ran.scores) == len(ran.token_ids)
        for i, scores in enumerate(ran.scores):
            assert_scores(scores, ran.token_ids[i : i + 1], after[i : i + 1], 3, [5, 900])


@pytest.mark.parametrize("token_budget", [8, 16, 512])
@pytest.mark.parametrize("prompt_from", [0, 1, 9, 29])
def test_prompt_scores_however_it_is_read(
    peer: LlamaForCausalLM, runner: ModelRunner, prompts: list[list[int]], token_budget: int, prompt_from: int
) -> None:
    prompt = prompts[2]
    logprobs = LogprobParams(num_top=2, token_ids=pack([7]), prompt_from=prompt_from)
    engine = engine_of(runner, token_budget=token_budget)
    ran = run(engine, {"prompt": prompt, "logprobs": logprobs}, {"prompt": prompts[1]})[0]
    scores = ran.prompt_scores
    assert scores is not None
    assert list(unpack(scores.token_ids)) == prompt[prompt_from:]
    after = log_softmax(peer, prompt)
    first = max(prompt_from, 1)
    if prompt_from == 0:
        assert all(value != value for value in unpack_floats(scores.logprobs)[:1])
        scores = Logprobs(scores.logprobs[4:], scores.top_ids[8:], scores.top_logprobs[8:], scores.asked_logprobs[4:])
    assert_scores(scores, prompt[first:], after[first - 1 : -1], 2, [7])
    assert ran.token_ids == generate(peer, prompt)


@pytest.mark.parametrize("token_budget", [8, 512])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_states(
    peer: LlamaForCausalLM, runner: ModelRunner, prompts: list[list[int]], pooling: str, token_budget: int
) -> None:
    requests = [{"prompt": prompt, "pooling": pooling} for prompt in prompts]
    for prompt, ran in zip(prompts, run(engine_of(runner, token_budget=token_budget), *requests), strict=True):
        states = peer.model(torch.tensor([prompt])).last_hidden_state[0].detach()
        expected = states[-1] if pooling == "last" else states.sum(0)
        assert ran.finish is FinishReason.STOP
        assert ran.token_ids == []
        assert ran.state == pytest.approx(expected.tolist(), abs=1e-3)
