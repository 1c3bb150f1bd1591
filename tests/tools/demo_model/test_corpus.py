"""The training text: repeatable, and without the prompts that are kept for the evaluation."""

from itertools import islice
from random import Random

import pytest

from tools.demo_model.chat import ALWAYS_TRAINED, Kind
from tools.demo_model.corpus import conversation, documents
from tools.demo_model.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_train_and_held_out_are_disjoint(kind: Kind) -> None:
    rng = Random(3)
    trained = {kind.draw(rng).key for _ in range(200)}
    kept = {kind.draw(rng, held_out=True).key for _ in range(20)}
    assert kept
    assert not trained & kept


def test_the_turns_before_a_held_out_one_are_training_text() -> None:
    rng = Random(3)
    drawn = conversation(rng, KINDS[0], 4, held_out=True)
    asked = [message["content"] for message in drawn.messages if message["role"] == "user"]
    assert len(asked) >= 4
    assert asked[-1] not in asked[:-1]


def test_a_seed_gives_the_same_documents() -> None:
    assert list(islice(documents(Random(9)), 50)) == list(islice(documents(Random(9)), 50))


def test_shown_prompts_are_never_held_out() -> None:
    rng = Random(1)
    for kind in KINDS:
        for _ in range(30):
            assert kind.draw(rng, held_out=True).key not in ALWAYS_TRAINED
