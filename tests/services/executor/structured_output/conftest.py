"""A compiler over the demonstration model's vocabulary, in this process, and one in a real child."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.eval_schemas import Writer
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.structured_output import GrammarBackend, GrammarPolicy
from xylem.shared.model_info.model_card import read_json

VOCAB_SIZE = int(read_json(MODEL_PATH / "config.json")["vocab_size"])
END_ID = int(read_json(MODEL_PATH / "config.json")["eos_token_id"])


def start(*, more: int = 0, **policy: Any) -> GrammarBackend:
    """Makes a GrammarBackend of the demonstration model; `more`: logits without a token."""
    return GrammarBackend(
        MODEL_PATH, vocab_size=VOCAB_SIZE + more, end_ids=[END_ID], policy=GrammarPolicy(**policy)
    )  # fmt: skip


@pytest.fixture(scope="package")
def writer() -> Writer:
    return Writer(random.Random(0))


@pytest.fixture(scope="package")
def grammars() -> Iterator[GrammarBackend]:
    made = start()
    yield made
    made.close()
