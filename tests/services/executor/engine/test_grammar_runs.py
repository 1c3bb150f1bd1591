"""Output under grammars, in batches, is what transformers writes under the same masks and with the same jumps."""

import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from transformers import AutoModelForCausalLM, LlamaForCausalLM
from xgrammar import apply_token_bitmask_inplace

from tests.services.executor.model_runs import RUNNERS, engine_of, run, runner_of
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.step.runner_interface import ModelRunner
from xylem.services.executor.structured_output import CompiledGrammar, GrammarBackend, Matcher
from xylem.services.executor.structured_output.token_spelling import bytes_of_tokens
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.model_info.tokenizer_codec import TextCodec
from xylem.shared.protocol import FinishReason, Grammar, LogprobParams, SamplingParams
from xylem.shared.protocol.columns import pack

pytestmark = pytest.mark.usefixtures("one_thread")

EOS = 2
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "favourite_colour": {"enum": ["red", "green"]}},
    "required": ["name", "favourite_colour"],
    "additionalProperties": False,
}
GRAMMARS = [
    Grammar("json_schema", json.dumps(PERSON)),
    Grammar("regex", "[0-9]{3}-[a-f]{2}( and so on){2}"),
    Grammar("choice", '["yes, of course", "no, never"]'),
    Grammar("ebnf", 'root ::= "a" [xyz]{4} | "b"'),
]
PROMPTS = ([1, 400, 600], [1, 9, 9, 9, 1200, 33, 501])


@pytest.fixture(scope="module")
def grammars() -> Iterator[GrammarBackend]:
    card = ModelCard.load(MODEL_PATH)
    made = GrammarBackend(
        MODEL_PATH,
        vocab_size=card.vocab_size,
        end_ids=card.eos_token_ids,
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def peer() -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(MODEL_PATH, dtype=torch.float32)


@pytest.fixture(scope="module", params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> ModelRunner:
    made: ModelRunner = runner_of(request.param, MODEL_PATH, page_size=8, num_pages=512, context_length=128)
    return made


def stepped(peer: LlamaForCausalLM, prompt: list[int], compiled: CompiledGrammar) -> list[int]:
    """Every token drawn by the model."""

    def masked(so_far: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        state = compiled.automaton.begin(frozenset([EOS]))
        assert all(state.accept(token_id) for token_id in so_far[0, len(prompt) :].tolist())
        apply_token_bitmask_inplace(logits, torch.from_numpy(state.mask())[None])
        return logits

    ids = torch.tensor([prompt])
    output = peer.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=60,
        eos_token_id=EOS,
        pad_token_id=0,
        logits_processor=[masked],
    )
    return output[0, len(prompt) :].tolist()  # type: ignore[no-any-return]


def jumping(peer: LlamaForCausalLM, prompt: list[int], compiled: CompiledGrammar, grammar: Grammar) -> list[int]:
    """Alone, without a cache: what has to come is appended, the rest drawn by the model."""
    output: list[int] = []
    while not output or output[-1] != EOS:
        matcher = Matcher(compiled, grammar, end_ids=frozenset([EOS]), output_ids=output)
        if forced := matcher.find_forced_tokens(60):
            output += forced
            continue
        mask = torch.full((1, -(-peer.config.vocab_size // 32)), -1, dtype=torch.int32)
        matcher.fill_mask(mask, 0)
        logits = peer(torch.tensor([prompt + output])).logits[:, -1].detach()
        apply_token_bitmask_inplace(logits, mask)
        output.append(int(logits.argmax()))
    return output


@pytest.fixture(scope="module")
def expected(peer: LlamaForCausalLM, grammars: GrammarBackend) -> list[list[int]]:
    """Of each prompt under each grammar."""
    compiled = {grammar: grammars.compile(grammar).result() for grammar in GRAMMARS}
    return [jumping(peer, prompt, compiled[grammar], grammar) for prompt in PROMPTS for grammar in GRAMMARS]


REQUESTS: list[dict[str, Any]] = [
    {"prompt": prompt, "grammar": grammar, "max_new_tokens": 60} for prompt in PROMPTS for grammar in GRAMMARS
]
FREE: dict[str, Any] = {"prompt": [1, 77, 300], "max_new_tokens": 20}


@pytest.mark.parametrize("token_budget", [4, 512])
def test_greedy_tokens(
    runner: ModelRunner, grammars: GrammarBackend, expected: list[list[int]], token_budget: int
) -> None:
    engine = engine_of(runner, token_budget=token_budget, eos=[EOS], compile_grammar=grammars.compile)
    ran = run(engine, *REQUESTS, FREE)
    assert [each.token_ids for each in ran[:-1]] == expected
    assert all(each.finish is FinishReason.STOP for each in ran[:-1] if each.token_ids[-1] == EOS)
    assert ran[-1].token_ids == run(engine_of(runner, eos=[EOS]), FREE)[0].token_ids
    assert sum(each.num_steps for each in ran[:-1]) < 0.6 * sum(len(each.token_ids) for each in ran[:-1]), "no jumps"


def test_scored_tokens_are_drawn_one_by_one(
    runner: ModelRunner, grammars: GrammarBackend, peer: LlamaForCausalLM
) -> None:
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    for request, ran in zip(
        REQUESTS, run(engine, *({**r, "logprobs": LogprobParams()} for r in REQUESTS)), strict=True
    ):
        tokens = stepped(peer, request["prompt"], grammars.compile(request["grammar"]).result())
        assert ran.token_ids == tokens
        assert ran.num_steps == len(tokens) == len(ran.scores)


@pytest.mark.parametrize("at", [1, 2, 5, 9])
def test_another_attempt_goes_on(
    runner: ModelRunner, grammars: GrammarBackend, expected: list[list[int]], at: int
) -> None:
    begun = [(r, tokens) for r, tokens in zip(REQUESTS, expected, strict=True) if len(tokens) > at]
    assert begun
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    requests = [{**r, "output_ids": tokens[:at], "max_new_tokens": 60 - at} for r, tokens in begun]
    assert [each.token_ids for each in run(engine, *requests)] == [tokens[at:] for _, tokens in begun]


def test_the_last_token_allowed_is_within_a_jump(runner: ModelRunner, grammars: GrammarBackend) -> None:
    grammar = Grammar("regex", "only one way to say it")
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    whole = run(engine, {**FREE, "grammar": grammar, "max_new_tokens": 60})[0]
    assert (whole.num_steps, whole.finish) == (2, FinishReason.STOP)  # all but the last word; that, and the end
    for limit in range(1, len(whole.token_ids)):
        engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
        cut = run(engine, {**FREE, "grammar": grammar, "max_new_tokens": limit})[0]
        assert (cut.token_ids, cut.finish) == (whole.token_ids[:limit], FinishReason.LENGTH)
    stop_id = whole.token_ids[2]
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    stopped = run(engine, {**FREE, "grammar": grammar, "stop_token_ids": pack([stop_id])})[0]
    assert stopped.token_ids == whole.token_ids[: whole.token_ids.index(stop_id) + 1]


def test_min_tokens_and_ignore_eos_give_way_to_a_complete_grammar(
    runner: ModelRunner, grammars: GrammarBackend
) -> None:
    grammar = Grammar("regex", "[0-9]{4}")
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    requests = [
        {**FREE, "grammar": grammar, "min_tokens": 30, "max_new_tokens": 60},
        {**FREE, "grammar": grammar, "ignore_eos": True, "sampling": SamplingParams(temperature=2.0, seed=4)},
    ]
    assert [each.token_ids[-1] for each in run(engine, *requests)] == [EOS, EOS]


class Compiler:
    """Compiles when it is told to."""

    def __init__(self) -> None:
        self.futures: list[Future[CompiledGrammar]] = []

    def compile(self, _grammar: Grammar, _client: str) -> "Future[CompiledGrammar]":
        self.futures.append(Future())
        return self.futures[-1]


def test_who_waits_for_a_grammar_reads_its_prompt_and_holds_up_nobody(
    runner: ModelRunner, grammars: GrammarBackend
) -> None:
    compiler = Compiler()
    engine = engine_of(runner, eos=[EOS], compile_grammar=compiler.compile)
    waits: list[int] = []

    def wait() -> None:
        waits.append(engine.num_running)
        compiler.futures[0].set_result(grammars.compile(GRAMMARS[2]).result())

    ran = run(engine, {**REQUESTS[2], "max_new_tokens": 60}, FREE, wait=wait)
    assert waits == [1], "the free one has ended, and the other waits without a step"
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    assert ran[0].token_ids == run(engine, REQUESTS[2])[0].token_ids


def test_a_grammar_that_can_not_be_had_ends_its_sequence_only(runner: ModelRunner, grammars: GrammarBackend) -> None:
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    bad = Grammar("regex", "(", param="regex")
    ran = run(engine, {**FREE, "grammar": bad}, FREE)
    assert ran[0].finish is FinishReason.ERROR
    assert ran[0].refusal
    assert ran[1].token_ids == run(engine_of(runner, eos=[EOS]), FREE)[0].token_ids


def test_output_that_does_not_follow_from_the_grammar_is_refused(runner: ModelRunner, grammars: GrammarBackend) -> None:
    grammar = replace(GRAMMARS[1], param="regex")
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    ran = run(engine, {**FREE, "grammar": grammar, "output_ids": [700, 701]})[0]
    assert ran.finish is FinishReason.ERROR
    assert "can't be gone on from" in ran.refusal


def test_an_engine_without_grammars_says_so(runner: ModelRunner) -> None:
    ran = run(engine_of(runner, eos=[EOS]), {**FREE, "grammar": GRAMMARS[0]})[0]
    assert (ran.finish, "compiles no grammars" in ran.refusal) == (FinishReason.ERROR, True)


@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_grammar_that_breaks_in_the_midst_ends_its_sequence_only(
    runner: ModelRunner, grammars: GrammarBackend, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine contradicts itself: it allows a token and does not take it."""
    accept, taken = Matcher.accept, []

    def failing(matcher: Matcher, token_id: int) -> bool:
        taken.append(token_id)
        return len(taken) <= at and accept(matcher, token_id)

    monkeypatch.setattr(Matcher, "accept", failing)
    engine = engine_of(runner, eos=[EOS], compile_grammar=grammars.compile)
    broken, free = run(engine, REQUESTS[1], {**FREE, "ignore_eos": True})
    assert broken.finish is FinishReason.ERROR
    assert broken.token_ids == taken[:at]
    assert bool(broken.refusal) is (at == 0), "who has heard nothing of it is told why"
    assert len(free.token_ids) == FREE["max_new_tokens"]


@pytest.mark.parametrize("text", ["é", "éa 日本 and so on", "日"])
def test_stretches_that_begin_within_a_character(grammars: GrammarBackend, text: str) -> None:
    """A model may write a character byte by byte."""
    grammar = Grammar("regex", text)
    compiled = grammars.compile(grammar).result()
    spelled = bytes_of_tokens(TextCodec.load(MODEL_PATH))
    wanted = text.encode()
    for num_bytes in range(len(wanted)):
        written = [spelled.index(wanted[i : i + 1]) for i in range(num_bytes)]
        matcher = Matcher(compiled, grammar, end_ids=frozenset([EOS]), output_ids=written)
        forced = matcher.find_forced_tokens(60)
        assert wanted[num_bytes:].startswith(b"".join(spelled[i] for i in forced if i != EOS))
