"""Drawing without the host gives the tokens of the reference, which looks at every value."""

import itertools

import pytest
import torch

from tests.kernels.backends import CPU, REFERENCE, logits_of
from xylem.kernels.interface import SamplingBatch
from xylem.shared.protocol import SamplingParams

CHOICES = [
    SamplingParams(temperature=t, top_k=k, top_p=p, min_p=m, seed=s)
    for s, (t, k, p, m) in enumerate(
        itertools.product((0.0, 0.3, 1.0, 2.5), (0, 1, 7, 500, 100_000), (1.0, 0.9, 0.2, 0.0), (0.0, 0.05, 1.0))
    )
]


@pytest.fixture(params=[2, 1000])
def logits(request: pytest.FixtureRequest) -> torch.Tensor:
    return logits_of(len(CHOICES), request.param, seed=3)


@pytest.mark.parametrize("scale", [0.02, 1.0])
def test_every_choice(logits: torch.Tensor, scale: float) -> None:
    logits = logits * scale
    positions = list(range(5, 5 + len(CHOICES)))
    expected = REFERENCE.sample(logits.clone(), CHOICES, positions)
    drawn = REFERENCE.sample_on_device(logits, SamplingBatch.build(CHOICES, CPU), torch.tensor(positions))
    assert drawn.tolist() == expected


def test_equal_logits_and_forbidden_ones() -> None:
    rows = torch.zeros(4, 40)
    rows[1] = float("-inf")
    rows[2, ::2] = float("-inf")
    rows[3] = float("-inf")
    rows[3, 17] = 1.0
    choices = [
        SamplingParams(seed=1),
        SamplingParams(seed=2),
        SamplingParams(seed=3, top_k=3),
        SamplingParams(seed=4, temperature=0.0),
    ]
    expected = REFERENCE.sample(rows.clone(), choices, [1, 2, 3, 4])
    assert (
        REFERENCE.sample_on_device(rows, SamplingBatch.build(choices, CPU), torch.tensor([1, 2, 3, 4])).tolist()
        == expected
    )
