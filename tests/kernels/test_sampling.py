"""Philox against its published vectors; draws against transformers' warpers, and independent of the batch."""

import pytest
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tests.kernels.backends import CPU, EACH_BACKEND
from xylem.kernels.interface import Ops, SamplingBatch
from xylem.kernels.reference import philox as generator
from xylem.kernels.reference import sampling
from xylem.kernels.reference.philox import philox, uniform
from xylem.kernels.reference.sampling import sample
from xylem.shared.protocol import SamplingParams

pytestmark = pytest.mark.usefixtures("one_thread")

FULL = 0xFFFFFFFF


# kat_vectors of the Random123 distribution, philox4x32-10: counter, key -> words
VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((FULL,) * 4, (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), VECTORS)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]) -> None:
    c = tuple(torch.tensor([word]) for word in counter)
    k = tuple(torch.tensor([word]) for word in key)
    assert tuple(word.item() for word in philox(c, k)) == words  # type: ignore[arg-type]


def test_uniform_numbers_are_uniform_and_distinct() -> None:
    numbers = uniform(torch.full((20_000,), 42), torch.arange(20_000))
    assert len(set(numbers.tolist())) == 20_000
    assert 0 < numbers.min() < numbers.max() <= 1
    counts = torch.histc(numbers.float(), bins=20, min=0, max=1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001


@pytest.mark.parametrize(("word", "number"), [(0, 2.0**-53), (FULL, 1.0)])
def test_a_number_is_never_0_and_may_be_1(monkeypatch: pytest.MonkeyPatch, word: int, number: float) -> None:
    monkeypatch.setattr(generator, "philox", lambda counter, key: (torch.tensor([word]),) * 4)
    assert uniform(torch.tensor([1]), torch.tensor([1])).tolist() == [number]


def test_seeds_and_positions_beyond_32_bits_count() -> None:
    seeds = torch.tensor([1, 1 + (1 << 40), (1 << 63) - 1])
    assert len(set(uniform(seeds, torch.tensor([5, 5, 5])).tolist())) == 3


def test_greedy_is_argmax() -> None:
    logits = torch.randn(8, 50)
    assert sample(logits, [SamplingParams(temperature=0.0)] * 8, [0] * 8) == logits.argmax(-1).tolist()


MIXED = [
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=1.0, seed=3),
    SamplingParams(temperature=0.7, top_p=0.8, seed=4),
    SamplingParams(temperature=2.0, top_k=5, seed=5),
    SamplingParams(temperature=1.3, min_p=0.2, seed=6),
    SamplingParams(temperature=1.1, top_k=40, top_p=0.9, min_p=0.05, seed=7),
]


def test_a_rows_draw_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(1)
    logits = torch.randn(len(MIXED), 300) * 3
    positions = [7, 8, 9, 10, 11, 12]
    together = sample(logits, MIXED, positions)
    alone = [sample(logits[i : i + 1], [MIXED[i]], [positions[i]])[0] for i in range(len(MIXED))]
    backwards = sample(logits.flip(0), MIXED[::-1], positions[::-1])[::-1]
    assert together == alone == backwards


def expected_distribution(logits: torch.Tensor, draw: SamplingParams) -> torch.Tensor:
    """What transformers' warpers leave, in the order of its generate()."""
    scores = TemperatureLogitsWarper(draw.temperature)(None, logits[None])
    if draw.top_k:
        scores = TopKLogitsWarper(draw.top_k)(None, scores)
    if draw.top_p < 1:
        scores = TopPLogitsWarper(draw.top_p)(None, scores)
    if draw.min_p:
        scores = MinPLogitsWarper(draw.min_p)(None, scores)
    distribution: torch.Tensor = scores.softmax(-1)[0]
    return distribution


@pytest.mark.parametrize("draw", MIXED[1:], ids=str)
def test_frequencies_are_those_of_transformers_warpers(draw: SamplingParams) -> None:
    torch.manual_seed(2)
    logits = torch.randn(24) * 2
    expected = expected_distribution(logits, draw)
    num_draws = 2000
    tokens = sample(logits.expand(num_draws, -1), [draw] * num_draws, list(range(num_draws)))
    counts = torch.bincount(torch.tensor(tokens), minlength=24).double()
    assert counts[expected == 0].sum() == 0, "a token that the warpers remove was drawn"
    kept = expected * num_draws >= 5
    statistic = ((counts - expected * num_draws)[kept] ** 2 / (expected * num_draws)[kept]).sum()
    assert statistic < 50  # 23 degrees of freedom at most: p < 0.001


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("draw", MIXED[1:], ids=str)
def test_only_what_the_warpers_keep_is_drawn_from_a_large_vocabulary(draw: SamplingParams, scale: float) -> None:
    """Flat and peaked: nuclei of a few tokens, of hundreds, and of nearly all."""
    torch.manual_seed(3)
    logits = torch.randn(8000) * scale
    kept = expected_distribution(logits, draw) > 0
    tokens = sample(logits.expand(100, -1), [draw] * 100, list(range(100)))
    assert all(kept[token] for token in tokens)


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300])
def test_the_coldest_draw_is_greedy(temperature: float) -> None:
    logits = torch.randn(4, 1000)
    draws = [SamplingParams(temperature=temperature, top_p=0.9)] * 4
    assert sample(logits, draws, [1, 2, 3, 4]) == logits.argmax(-1).tolist()


def test_equals_of_the_last_kept_token_are_kept() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, 1.0, 1.0, -1.0])
    drawn = sample(logits.expand(300, -1), [SamplingParams(temperature=1.0, top_k=2)] * 300, list(range(300)))
    assert set(drawn) == {1, 2, 3, 4}


def test_masked_tokens_are_never_drawn() -> None:
    logits = torch.full((500, 50), float("-inf"))
    logits[:, [7, 40]] = torch.tensor([0.0, 1.0])
    for draw in MIXED[1:]:
        assert set(sample(logits, [draw] * 500, list(range(500)))) <= {7, 40}


def test_the_ends_of_the_range_of_numbers_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.tensor([[float("-inf"), 0.0, 3.0, 1.0, float("-inf")]])
    for number, token in ((2.0**-53, 1), (1.0, 3)):
        monkeypatch.setattr(sampling, "uniform", lambda seeds, positions, n=number: torch.full((1,), n).double())
        assert sample(logits, [SamplingParams(temperature=1.0)], [0]) == [token]


@pytest.mark.parametrize("scale", [0.1, 1.0, 2.0, 4.0, 16.0])
@pytest.mark.parametrize("top_p", [1e-9, 0.1, 0.5, 0.9, 0.999])
def test_a_nucleus_has_the_fewest_tokens_that_reach_its_share(top_p: float, scale: float) -> None:
    """Against sorting everything: few tokens hold the share, or more than the likely ones that are looked at first."""
    torch.manual_seed(4)
    weights = (torch.randn(8000) * scale).softmax(-1)
    weights /= weights.max()
    falling = weights.double().sort(descending=True).values
    fewest = int((falling.cumsum(-1) / falling.sum() < top_p).sum()) + 1
    assert (weights >= sampling._nucleus_edge(weights, top_p)).sum() == fewest


def test_a_nucleus_wider_than_the_likely_tokens() -> None:
    logits = torch.zeros(5000)
    tokens = sample(logits.expand(200, -1), [SamplingParams(temperature=1.0, top_p=0.9)] * 200, list(range(200)))
    assert len(set(tokens)) > 150


@EACH_BACKEND
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_row_that_the_model_failed_on_leaves_the_others_alone(backend: Ops, odd: float) -> None:
    draw = backend.sample
    logits = torch.randn(len(MIXED) * 2, 300)
    draws, positions = MIXED * 2, list(range(len(MIXED) * 2))
    good = draw(logits, draws, positions)
    logits[len(MIXED) :, 17] = odd
    assert draw(logits, draws, positions) == good[: len(MIXED)] + [17] * len(MIXED)


@EACH_BACKEND
def test_tokens_stay_on_the_device_where_that_is_asked_for(backend: Ops) -> None:
    logits, positions = torch.randn(len(MIXED), 300), list(range(len(MIXED)))
    ids = backend.sample_on_device(logits, SamplingBatch.build(MIXED, CPU), torch.tensor(positions))
    assert ids.dtype is torch.int64
    assert ids.tolist() == backend.sample(logits, MIXED, positions)
