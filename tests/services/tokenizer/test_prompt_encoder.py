import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, processors

from tests import tokenizer_kinds as kinds
from tests.generation_params import gathered
from xylem.services.tokenizer.prompt_encoder import PromptEncoder
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import Detokenize, Generate, Grammar, SamplingParams, StopConditions, Tokenize
from xylem.shared.protocol.columns import pack, unpack
from xylem.shared.runtime.errors import ContextTooLong, InvalidRequest, XylemError

TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ tail }}{% endfor %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = Tokenizer.from_str(kinds.byte_level().to_str())
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return kinds.write_model(
        tmp_path_factory.mktemp("model"),
        tokenizer,
        context_length=64,
        vocab_size=500,
        bos_token="<s>",
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="module")
def encoder(folder: Path) -> PromptEncoder:
    return PromptEncoder.load(ModelCard.load(folder))


def generate(**fields: Any) -> Generate:
    return Generate(request_id="r", attempt=2, gateway="g", detokenizer="d", **gathered(fields))


def test_all_else_is_passed_on(encoder: PromptEncoder) -> None:
    given = generate(
        prompt="the quick",
        output_ids=pack([7, 8]),
        sampling=SamplingParams(temperature=0.5, seed=3),
        stop_conditions=StopConditions(max_tokens=5, ignore_eos=True, stop=("x",), stop_token_ids=pack([4])),
        cache_salt="tenant",
        priority=3,
        deadline_s=9.5,
        trace="theirs",
    )
    done = encoder.encode_request(given, "mine")
    for name in (
        "request_id",
        "attempt",
        "gateway",
        "detokenizer",
        "output_ids",
        "params",
    ):
        assert getattr(done, name) == getattr(given, name)
    assert (done.params.deadline_s, done.trace) == (9.5, "mine")


def test_plain_prompts_get_special_tokens_and_templates_write_their_own(encoder: PromptEncoder) -> None:
    plain = unpack(encoder.encode_request(generate(prompt="the"), "").prompt_ids).tolist()
    assert plain[0] == 0
    messages = json.dumps([{"role": "user", "content": "the"}]).encode()
    assert unpack(encoder.encode_request(generate(messages=messages), "").prompt_ids).tolist() == plain
    tailed = generate(messages=messages, template_arguments=b'{"tail": "the"}')
    assert unpack(encoder.encode_request(tailed, "").prompt_ids).tolist() == plain + plain[1:]
    assert encoder.encode_question(Tokenize(prompt="the")) == plain
    assert encoder.encode_question(Tokenize(prompt="the", add_special_tokens=False)) == plain[1:]
    assert encoder.encode_question(Tokenize(messages=messages)) == plain


def test_token_ids_are_taken_as_they_are(encoder: PromptEncoder) -> None:
    assert encoder.encode_request(generate(token_ids=pack([3, 499])), "").prompt_ids == pack([3, 499])


@pytest.mark.parametrize(("wanted", "got"), [(-1, 54), (54, 54), (55, 54), (32_000, 54), (1, 1), (0, 0)])
def test_max_tokens(encoder: PromptEncoder, wanted: int, got: int) -> None:
    done = encoder.encode_request(
        generate(token_ids=pack([1] * 10), stop_conditions=StopConditions(max_tokens=wanted, stop=("s",))), ""
    )
    assert done.params.stop_conditions == StopConditions(max_tokens=got, stop=("s",))


def test_strict_limits_are_refused_beyond_the_context(folder: Path) -> None:
    strict = PromptEncoder.load(ModelCard.load(folder), strict_max_tokens=True)
    asked = generate(token_ids=pack([1] * 10), stop_conditions=StopConditions(max_tokens=54))
    assert strict.encode_request(asked, "").params.stop_conditions.max_tokens == 54
    with pytest.raises(ContextTooLong, match=r"10 tokens and max_tokens is 55.*64") as caught:
        strict.encode_request(generate(token_ids=pack([1] * 10), stop_conditions=StopConditions(max_tokens=55)), "")
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("fields", "error", "param", "words"),
    [
        ({"token_ids": pack([1, 500])}, InvalidRequest, "prompt", ["prompt", "500"]),
        ({"token_ids": pack([-1])}, InvalidRequest, "prompt", ["prompt", "-1"]),
        ({"token_ids": b""}, InvalidRequest, "prompt", ["empty"]),
        ({"token_ids": pack([1] * 64)}, ContextTooLong, "prompt", ["context", "64"]),
        ({"prompt": "the " * 80}, ContextTooLong, "prompt", ["context", "64"]),
        ({"prompt": "word " * 400_000}, ContextTooLong, "prompt", ["context", "64", "2000000"]),
        ({"messages": b'[{"role": "user", "content": "\\ud83d x"}]'}, InvalidRequest, "messages", ["surrogate"]),
        ({"messages": b"[]"}, InvalidRequest, "messages", ["empty"]),
        ({"messages": b"[{"}, InvalidRequest, "messages", ["JSON"]),
        ({"messages": b'[{"role": "user", "content": "x"}]', "tools": b"{}"}, InvalidRequest, "tools", ["list"]),
        (
            {"messages": b'[{"role": "user", "content": "x"}]', "template_arguments": b"[]"},
            InvalidRequest,
            "chat_template_kwargs",
            ["object"],
        ),
    ],
)  # fmt: skip
def test_what_is_refused(
    encoder: PromptEncoder, fields: Any, error: type[XylemError], param: str, words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        encoder.encode_request(generate(**fields), "")
    assert type(caught.value) is error
    assert caught.value.param == param
    assert all(word in caught.value.message for word in words), caught.value.message


def test_an_empty_prompt_without_special_tokens(tmp_path: Path) -> None:
    bare = PromptEncoder.load(ModelCard.load(kinds.write_model(tmp_path, kinds.byte_level())))
    with pytest.raises(InvalidRequest, match="empty"):
        bare.encode_request(generate(prompt=""), "")


def test_tokens_that_the_model_has_no_weights_for_are_refused(tmp_path: Path) -> None:
    small = PromptEncoder.load(ModelCard.load(kinds.write_model(tmp_path, kinds.byte_level(), vocab_size=20)))
    with pytest.raises(InvalidRequest, match="outside the model's vocabulary of 20"):
        small.encode_request(generate(prompt="hello"), "")


def test_questions_may_be_longer_than_the_context(encoder: PromptEncoder) -> None:
    text = "héllo wörld 你好 🙂 \n\t x" * 100
    ids = encoder.encode_question(Tokenize(prompt=text))
    assert encoder.decode_question(Detokenize(token_ids=pack(ids))) == "<s>" + text


def test_token_ids_to_detokenize_are_checked(encoder: PromptEncoder) -> None:
    with pytest.raises(InvalidRequest, match="tokens: token id 500") as caught:
        encoder.decode_question(Detokenize(token_ids=pack([500])))
    assert caught.value.param == "tokens"


THINKS = "{{ messages[0].content }}{% if add_generation_prompt %}{{ start }}{% endif %}"
THOUGHTFUL = ("<think>", "</think>")


@pytest.fixture(scope="module", params=[THOUGHTFUL, ("{think}", "{/think}")], ids=["tokens", "text"])
def thinker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[PromptEncoder, str, str]:
    """A model whose markers of thoughts are tokens, and one where they are plain text."""
    tokenizer = Tokenizer.from_str(kinds.byte_level().to_str())
    tokenizer.add_tokens(list(THOUGHTFUL))
    folder = tmp_path_factory.mktemp("model")
    size = tokenizer.get_vocab_size()
    kinds.write_model(folder, tokenizer, context_length=64, vocab_size=size, chat_template=THINKS)
    return PromptEncoder.load(ModelCard.load(folder)), *request.param


@pytest.mark.parametrize("said", ["Hi", "what is {opens}? and {after}?", "{opens}"])
@pytest.mark.parametrize(
    ("start", "opens", "begins"),
    [("A:", True, True), ("A:{opens}\n", False, True), ("A:{after}", False, False), ("{opens}{after}\n", False, False)],
)
def test_a_grammar_begins_behind_the_thoughts_that_the_prompt_leaves_open(
    thinker: tuple[PromptEncoder, str, str], said: str, start: str, opens: bool, begins: bool
) -> None:
    encoder, opening, ending = thinker
    words = {"opens": opening, "after": ending}
    messages = json.dumps([{"role": "user", "content": said.format(**words)}]).encode()
    given = generate(
        messages=messages,
        template_arguments=json.dumps({"start": start.format(**words)}).encode(),
        grammar=Grammar("regex", "[0-9]+", after=ending, opens=opening),
        answer_markers=(opening, ending),
    )
    done = encoder.encode_request(given, "")
    grammar = done.params.grammar
    assert grammar is not None
    text = encoder.decode_question(Detokenize(token_ids=done.prompt_ids))
    written = start.format(**words)
    if opening != "<think>":
        # Nobody sees in the tokens where the thoughts end: they have to have ended in the prompt.
        opens = begins = False
        written += ending * (opening in written and ending not in written)
    assert (grammar.opens_id >= 0, grammar.after_id >= 0) == (opens, begins)
    assert done.params.answer_prefix == written.removeprefix("A:")
    assert text.endswith(written)


def test_nobody_is_told_how_an_answer_begins_who_does_not_ask(encoder: PromptEncoder) -> None:
    messages = json.dumps([{"role": "user", "content": "<think>"}]).encode()
    assert encoder.encode_request(generate(messages=messages), "").params.answer_prefix == ""
    assert (
        encoder.encode_request(generate(prompt="<think>", answer_markers=("<think>",)), "").params.answer_prefix == ""
    )
