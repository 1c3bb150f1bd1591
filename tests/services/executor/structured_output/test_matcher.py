"""Where sequences stand: masks, replay, thinking, and tokens that must come."""

import json
import random
import re

import pytest
import torch

from benchmarks.eval_schemas import Writer, allowed_ids
from tests.services.executor.structured_output.conftest import END_ID, VOCAB_SIZE
from xylem.services.executor.structured_output import CompiledGrammar, GrammarFailed, Matcher, mask_timing
from xylem.shared.protocol import Grammar

ENDS = frozenset([END_ID])
PLAIN = Grammar("json_schema")
CARD = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "kind": {"enum": ["apple", "pear"]}},
    "required": ["name", "kind"],
}


def mask(matcher: Matcher) -> list[int] | None:
    """What may come; None for everything."""
    bitmask = torch.zeros((1, -(-VOCAB_SIZE // 32)), dtype=torch.int32)
    return allowed_ids(bitmask[0]) if matcher.fill_mask(bitmask, 0) else None


def walked(writer: Writer, grammar: CompiledGrammar, seed: int, form: Grammar = PLAIN) -> list[int]:
    """A finished random output, in token ids."""
    draw = random.Random(seed)
    matcher = Matcher(grammar, form, end_ids=ENDS, output_ids=())
    out: list[int] = []
    while not out or out[-1] != END_ID:
        allowed = mask(matcher)
        assert allowed
        assert len(out) < 500
        out.append(END_ID if END_ID in allowed else draw.choice(allowed))
        assert matcher.accept(out[-1])
    return out


@pytest.fixture(scope="module")
def card(writer: Writer) -> CompiledGrammar:
    return writer.compile("json_schema", json.dumps(CARD))


def test_replay_comes_to_the_same_place(writer: Writer, card: CompiledGrammar) -> None:
    output = walked(writer, card, 1)
    matcher = Matcher(card, PLAIN, end_ids=ENDS, output_ids=())
    for at, token_id in enumerate(output):
        assert mask(matcher) == mask(Matcher(card, PLAIN, end_ids=ENDS, output_ids=output[:at]))
        assert matcher.accept(token_id)
    assert mask(matcher) == [END_ID]


def test_output_that_does_not_fit_is_a_fault(writer: Writer, card: CompiledGrammar) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        Matcher(card, PLAIN, end_ids=ENDS, output_ids=[writer.spelled.index(b"[")])


def test_a_token_that_is_not_allowed_changes_nothing(writer: Writer, card: CompiledGrammar) -> None:
    matcher = Matcher(card, PLAIN, end_ids=ENDS, output_ids=())
    before = mask(matcher)
    assert not matcher.accept(writer.spelled.index(b"["))
    assert not matcher.accept(END_ID)
    assert not matcher.accept(VOCAB_SIZE + 5)
    assert mask(matcher) == before


def test_special_tokens_are_never_allowed(writer: Writer, card: CompiledGrammar) -> None:
    special = {i for i, spelled in enumerate(writer.spelled) if not spelled} - {END_ID}
    assert special
    draw = random.Random(3)
    for _ in range(5):
        matcher = Matcher(card, PLAIN, end_ids=ENDS, output_ids=())
        for _ in range(30):
            allowed = mask(matcher)
            assert allowed
            assert not special & set(allowed)
            token_id = draw.choice(allowed)
            assert matcher.accept(token_id)
            if token_id == END_ID:
                break


def test_thinking_comes_first(writer: Writer, card: CompiledGrammar) -> None:
    after = writer.spelled.index(b"!")
    form = Grammar("json_schema", after_id=after)
    matcher = Matcher(card, form, end_ids=ENDS, output_ids=())
    allowed = mask(matcher)
    assert allowed is not None
    assert set(range(VOCAB_SIZE)) - set(allowed) == {END_ID}
    assert not matcher.accept(END_ID)
    assert matcher.find_forced_tokens(5) == []
    assert matcher.accept(writer.spelled.index(b"x"))
    assert matcher.accept(after)
    assert mask(matcher) == mask(Matcher(card, PLAIN, end_ids=ENDS, output_ids=()))


def test_a_model_that_may_think(writer: Writer, card: CompiledGrammar) -> None:
    opens, after = writer.spelled.index(b"?"), writer.spelled.index(b"!")
    form = Grammar("json_schema", after_id=after, opens_id=opens)
    start = mask(Matcher(card, PLAIN, end_ids=ENDS, output_ids=()))
    assert start is not None
    assert mask(Matcher(card, form, end_ids=ENDS, output_ids=())) == sorted([*start, opens])
    thinks = Matcher(card, form, end_ids=ENDS, output_ids=[opens, writer.spelled.index(b"x")])
    assert len(mask(thinks) or []) == VOCAB_SIZE - 1
    assert thinks.accept(after)
    assert mask(thinks) == start
    brace = writer.spelled.index(b"{")
    does_not = Matcher(card, form, end_ids=ENDS, output_ids=[brace])
    assert mask(does_not) == mask(Matcher(card, PLAIN, end_ids=ENDS, output_ids=[brace]))
    assert not does_not.accept(opens)


def test_forced_tokens_are_those_of_the_mask(writer: Writer) -> None:
    grammar = writer.compile("ebnf", 'root ::= "a" | "qqqqqq" [0-9] "zz"\n')
    output = walked(writer, grammar, 0)
    seen = 0
    for seed in range(8):
        output = walked(writer, grammar, seed)
        for at in range(len(output)):
            matcher = Matcher(grammar, PLAIN, end_ids=ENDS, output_ids=output[:at])
            before = mask(matcher)
            forced = matcher.find_forced_tokens(4)
            assert mask(matcher) == before
            expected: list[int] = []
            while len(expected) < 4 and len(allowed := mask(matcher) or []) == 1 and END_ID not in expected:
                expected += allowed
                assert matcher.accept(allowed[0])
            assert forced == expected
            seen += len(forced)
    assert seen


def test_many_grammars_in_one_bitmask(writer: Writer, card: CompiledGrammar) -> None:
    digits = writer.compile("regex", "[0-9]+")
    forms = [card, digits, card, digits]
    bitmask = torch.full((4, -(-VOCAB_SIZE // 32)), -1, dtype=torch.int32)
    for row, grammar in enumerate(forms):
        assert Matcher(grammar, PLAIN, end_ids=ENDS, output_ids=()).fill_mask(bitmask, row)
    assert torch.equal(bitmask[0], bitmask[2])
    assert torch.equal(bitmask[1], bitmask[3])
    assert {writer.spelled[i] for i in allowed_ids(bitmask[1])} == {s for s in writer.spelled if s.isdigit()}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("regex", r"[a-f]{2}-\d+(x|yz)?", r"[a-f]{2}-\d+(x|yz)?"),
        ("regex", "^ab?$", "ab?"),
        ("ebnf", 'root ::= "x" root | "y"\n', "x*y"),
        ("choice", json.dumps(["red", "green", 'a "quoted" \n é']), 'red|green|a "quoted" \n é'),
        (
            "structural_tag",
            json.dumps({"type": "structural_tag", "format": {
                "type": "tag", "begin": "<f>", "content": {"type": "regex", "pattern": "[0-9]{1,3}"}, "end": "</f>"}}),
            "<f>[0-9]{1,3}</f>",
        ),
    ],
)  # fmt: skip
def test_other_kinds(writer: Writer, kind: str, text: str, expected: str) -> None:
    grammar = writer.compile(kind, text)
    for _ in range(8):
        document = writer.write(grammar)
        assert document is not None
        assert re.fullmatch(expected, document.decode()), document


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("json_schema", "{", "no JSON"),
        ("regex", "(a", "parenthesis"),
        ("regex", "(?!a)b", "look-around"),
        ("ebnf", "root ::= other\n", "other"),
        ("ebnf", "not a grammar", "EBNF"),
        ("choice", "[]", "list of strings"),
        ("choice", "no", "no JSON"),
        ("structural_tag", "{}", "structural_tag"),
        ("prose", "", "prose"),
    ],
)
def test_texts_that_are_no_grammar(writer: Writer, kind: str, text: str, message: str) -> None:
    with pytest.raises(GrammarFailed, match=message):
        writer.compile(kind, text)


def test_a_grammar_whose_masks_are_slow_is_refused(card: CompiledGrammar, monkeypatch: pytest.MonkeyPatch) -> None:
    mask_timing.check_mask_time(card.automaton, "json_schema")
    monkeypatch.setattr(mask_timing, "MAX_MASK_S", 0.0)
    with pytest.raises(GrammarFailed, match="json_schema takes too long at every token"):
        mask_timing.check_mask_time(card.automaton, "json_schema")


@pytest.mark.parametrize(
    ("kind", "text", "written"),
    [
        ("regex", "0", "0"),
        ("regex", "a(b|c)d", "abd"),
        ("json_schema", '{"const": 12}', "12"),
    ],
)
def test_without_end_tokens_a_text_is_finished_when_nothing_may_follow(
    writer: Writer, kind: str, text: str, written: str
) -> None:
    """Some models have no token to end with; a mask that allows none would be no way to say so."""
    compiled = writer.compile(kind, text)
    matcher = Matcher(compiled, Grammar(kind), end_ids=frozenset(), output_ids=())
    ending = Matcher(compiled, Grammar(kind), end_ids=ENDS, output_ids=())
    for character in written:
        assert not matcher.is_finished
        assert not ending.is_finished
        for each in (matcher, ending):
            assert each.accept(writer.spelled.index(character.encode()))
    assert matcher.is_finished
    assert not ending.is_finished
    assert mask(ending) == [END_ID]


def test_without_end_tokens_what_may_go_on_is_not_finished(writer: Writer) -> None:
    matcher = Matcher(writer.compile("regex", "[0-9]{1,2}"), Grammar("regex"), end_ids=frozenset(), output_ids=())
    matcher.accept(writer.spelled.index(b"7"))
    assert not matcher.is_finished
    allowed = mask(matcher)
    assert allowed
    matcher.accept(allowed[0])
    assert matcher.is_finished
