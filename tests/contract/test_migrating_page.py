"""docs/migrating.md is what the table of foreign flags says, and names nothing of ours that is not there."""

import re
from pathlib import Path

import pytest

from tools.migrating_docs import METRICS, OLLAMA, page
from xylem.services.gateway.metrics import Metrics
from xylem.shared.protocol import Presence
from xylem.shared.runtime.settings import known_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"
OF_SERVE = {"replicas"}


def test_it_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.migrating_docs > docs/migrating.md"


@pytest.mark.parametrize("flag", sorted({flag for _, here in OLLAMA for flag in re.findall(r"`--([a-z-]+)", here)}))
def test_flags_that_take_the_place_of_ollamas_variables_are_there(flag: str) -> None:
    assert flag.replace("-", "_") in known_names() | OF_SERVE


def test_our_metrics_are_there() -> None:
    metrics = Metrics(lambda: [Presence(kind="scheduler", id="s", epoch=1, model="m")], lambda: 0, lambda: 0)
    metrics.requests["/v1/models", "200"] += 1
    text = metrics.render().decode()
    named = {name for ours, *_ in METRICS for name in re.findall(r"xylem_[a-z_]+", ours)}
    missing = [name for name in named if not re.search(rf"^{name}(_bucket)?[ {{]", text, re.MULTILINE)]
    assert missing == []
