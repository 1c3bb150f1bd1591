"""Data sets are the same for the same seed, as long as they say, and share what they say."""

import statistics
from itertools import pairwise, takewhile

import pytest

from benchmarks.datasets import DATASETS, Ask, Session
from benchmarks.datasets.json_extraction import SCHEMA, JsonExtraction
from benchmarks.datasets.mixed_lengths import MixedLengths
from benchmarks.datasets.multi_turn import MultiTurn
from benchmarks.datasets.random_words import RandomWords
from benchmarks.datasets.shared_prefix import SharedPrefix
from benchmarks.datasets.tree_of_thought import TreeOfThought
from benchmarks.datasets.words import WORDS, token_ids


def played(session: Session) -> list[list[Ask]]:
    """Every batch of a session whose answers are `said` and a number."""
    batches = [next(session)]
    try:
        while True:
            batches.append(session.send([f" said {len(batches)} {i}" for i in range(len(batches[-1]))]))
    except StopIteration:
        return batches


def num_words(ask: Ask) -> int:
    return sum(len(message.content.split()) for message in ask.messages)


def num_shared(one: list[str], other: list[str]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


@pytest.mark.parametrize("name", DATASETS)
def test_a_seed_and_a_number_are_all_that_a_session_depends_on(name: str) -> None:
    dataset = DATASETS[name]()
    assert played(dataset.session(3, 5)) == played(DATASETS[name]().session(3, 5))
    first_prompts = {played(dataset.session(seed, number))[0][0].prompt for seed in (0, 1) for number in range(20)}
    assert len(first_prompts) == 40


def test_words_are_different_and_have_no_more_in_them() -> None:
    assert len(set(WORDS)) == len(WORDS) > 400
    assert all(word.isascii() and word.isalpha() and word.islower() for word in WORDS)


def test_ids_are_as_many_as_words_and_within_small_vocabularies() -> None:
    [[ask]] = played(RandomWords(input=1000).session(0, 0))
    ids = token_ids(ask.prompt)
    assert len(ids) == 1000
    assert set(ids) <= set(range(300, 1000))
    assert len(set(ids)) > 100


def test_random_lengths_are_exact() -> None:
    [[ask]] = played(RandomWords(input=77, output=9).session(0, 0))
    assert (num_words(ask), ask.num_output, ask.schema) == (77, 9, None)


def test_mixed_lengths_have_the_means_and_medians_that_they_say() -> None:
    dataset = MixedLengths()
    asks = [played(dataset.session(0, number))[0][0] for number in range(4000)]
    inputs, outputs = [num_words(ask) for ask in asks], [ask.num_output for ask in asks]
    assert statistics.mean(inputs) == pytest.approx(213, rel=0.08)
    assert statistics.mean(outputs) == pytest.approx(199, rel=0.06)
    assert statistics.median(inputs) == pytest.approx(107, rel=0.08)
    assert statistics.median(outputs) == pytest.approx(133, rel=0.06)
    assert max(inputs) == 2048
    assert min(*inputs, *outputs) >= 1


def test_a_shared_prefix_is_shared_by_every_nth_session_and_is_as_long_as_it_says() -> None:
    dataset = SharedPrefix(prefixes=3, system=50, examples=4, question=10, answer=5)
    prompts = [played(dataset.session(0, number))[0][0].prompt for number in range(9)]
    labels = 1 + 2 * 4  # a role in front of each message, and a colon
    for a in range(9):
        for b in range(a):
            shared = num_shared(prompts[a].split(), prompts[b].split())
            if a % 3 == b % 3:
                assert 50 + 4 * 15 + 2 * labels <= shared < 50 + 4 * 15 + 2 * labels + 10
            else:
                assert shared < 10


def test_each_turn_carries_along_all_that_was_said() -> None:
    batches = played(MultiTurn(turns=4, system=20, input=12, output=7).session(0, 0))
    assert [len(batch) for batch in batches] == [1] * 4
    asks = [batch[0] for batch in batches]
    for number, (before, after) in enumerate(pairwise(asks), 1):
        assert after.prompt.startswith(f"{before.prompt} said {number} 0 user :")
        assert after.messages[: len(before.messages)] == before.messages
    assert [num_words(ask) for ask in asks] == [20 + 12 * turn + 3 * (turn - 1) for turn in (1, 2, 3, 4)]
    assert {ask.num_output for ask in asks} == {7}


def test_ids_of_a_longer_chat_begin_with_those_of_the_shorter() -> None:
    asks = [batch[0] for batch in played(MultiTurn().session(0, 0))]
    for before, after in pairwise(map(token_ids, (ask.prompt for ask in asks))):
        assert after[: len(before)] == before


def test_branches_of_a_thought_share_what_led_to_them() -> None:
    batches = played(TreeOfThought(problem=60, branches=3, levels=3).session(0, 0))
    assert [len(batch) for batch in batches] == [3, 9, 27]
    for number, (before, after) in enumerate(pairwise(batches), 1):
        for i, ask in enumerate(after):
            assert ask.prompt.startswith(f"{before[i // 3].prompt} said {number} {i // 3} user :")
    assert len({ask.prompt for batch in batches for ask in batch}) == 39


def test_extraction_asks_for_json_by_its_schema() -> None:
    [[ask]] = played(JsonExtraction(input=40).session(0, 0))
    assert ask.schema == SCHEMA
    assert len(ask.messages[1].content.split()) == 40
