"""How tokens find their experts, in cases small enough to check by hand; whole models are in test_exactness."""

from dataclasses import replace

import pytest
import torch

from xylem.services.executor.model_config.moe_config import MoeConfig
from xylem.services.executor.models.moe_router import route

PLAIN = MoeConfig(layers=(True,), num_experts=6, num_chosen=2, intermediate_size=8)
GROUPED = replace(PLAIN, num_groups=3, num_chosen_groups=1)
SCORES = torch.tensor([[0.30, 0.05, 0.20, 0.18, 0.07, 0.20]])  # in groups of two: best 0.30, sum of two 0.38


def picked(config: MoeConfig, bias: torch.Tensor | None = None) -> dict[int, float]:
    experts, weights = route(SCORES.log(), config, bias)
    return dict(zip(experts[0].tolist(), weights[0].tolist(), strict=True))


def test_the_best_are_chosen_and_keep_their_probabilities() -> None:
    assert picked(replace(PLAIN, num_chosen=1)) == {0: pytest.approx(0.30)}
    assert picked(replace(PLAIN, num_chosen=4)).keys() == {0, 2, 3, 5}


def test_weights_are_normalised_before_they_are_scaled() -> None:
    config = replace(PLAIN, normalised=True, scaling=2.5, num_chosen=6)
    assert sum(picked(config).values()) == pytest.approx(2.5)
    assert picked(config)[0] == pytest.approx(0.75)


def test_sigmoids_do_not_share_one_whole() -> None:
    odds = SCORES / (1 + SCORES)  # the sigmoid of a logarithm
    assert picked(replace(PLAIN, scoring="sigmoid", num_chosen=1)) == {0: pytest.approx(odds[0, 0].item())}


def test_groups_are_judged_by_their_best_or_by_two() -> None:
    assert picked(GROUPED).keys() == {0, 1}
    assert picked(replace(GROUPED, num_group_best=2)).keys() == {2, 3}
    assert picked(replace(GROUPED, num_chosen_groups=2, num_chosen=3, num_group_best=2)).keys() == {0, 2, 3}


def test_a_bias_counts_for_the_choice_but_not_for_the_weights() -> None:
    bias = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert picked(PLAIN, bias) == {1: pytest.approx(0.05), 0: pytest.approx(0.30)}
    assert picked(replace(GROUPED, num_group_best=2), bias).keys() == {0, 1}


@pytest.mark.parametrize("config", [PLAIN, replace(GROUPED, num_group_best=2)])
def test_ties_give_different_experts_which_do_not_depend_on_the_batch(config: MoeConfig) -> None:
    logits = torch.zeros(40, 6)
    logits[::2] = torch.randn(20, 6)
    experts, weights = route(logits, config, None)
    assert all(len(set(row)) == 2 for row in experts.tolist())
    assert torch.equal(weights[1::2], torch.full((20, 2), 1 / 6))
    for i in range(40):
        assert torch.equal(route(logits[i : i + 1], config, None)[0][0], experts[i])


def test_sigmoids_that_vanish_do_not_divide_by_zero() -> None:
    config = replace(PLAIN, scoring="sigmoid", normalised=True)
    weights = route(torch.full((1, 6), -200.0), config, None)[1]
    assert torch.equal(weights, torch.zeros(1, 2))
