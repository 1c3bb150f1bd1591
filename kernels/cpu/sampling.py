"""Drawing tokens on a CPU: the same tokens as the reference, without sorting or summing up all of a vocabulary."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from xylem.kernels.cpu.peaks import Peaks
from xylem.kernels.cpu.uniform import uniform
from xylem.kernels.cpu.weights import MARGIN, lowest_logit, weights
from xylem.kernels.interface import Draw
from xylem.kernels.reference import sampling as reference

# Sums of up to a million float64 differ by less than this share of them from the reference's, which adds in another
# order. What lies closer to an edge is left to the reference.
TOLERANCE = 1e-10
# A share of the likeliest token that no draw falls upon: the numbers are multiples of 2**-53.
FAINTEST = 1e-30
# Where a nucleus is looked for: tokens at least so likely against the likeliest. Each holds a few times the one before.
FLOORS = (1e-2, 1e-3, 1e-4)
BLOCK = 512  # tokens that are summed up together where one of all is picked


@np.errstate(over="ignore")  # a logit far below the highest is infinitely far below it at a low temperature
def sample(logits: Tensor, draws: Sequence[Draw], positions: Sequence[int]) -> list[int]:
    """Shapes: see interface.py."""
    rows = logits.numpy()
    if all(draw.temperature == 0 for draw in draws):
        return [int(row.argmax()) for row in rows]
    numbers = uniform([draw.seed for draw in draws], positions).tolist()
    scratch, tokens = np.empty(logits.shape[1], dtype=np.float32), []
    for i, (row, draw, number) in enumerate(zip(rows, draws, numbers, strict=True)):
        token = _draw(row, draw, number, scratch) if draw.temperature > 0 else int(row.argmax())
        if token is None:
            [token] = reference.sample(logits[i : i + 1], [draw], positions[i : i + 1])
        tokens.append(token)
    return tokens


def _draw(row: np.ndarray, draw: Draw, number: float, scratch: np.ndarray) -> int | None:
    """Returns the reference's token, or None where the rounding of a sum might decide. row, scratch: [V] float32."""
    peaks = Peaks(row)
    if not np.isfinite(peaks.highest):
        return int(row.argmax())
    temperature = max(draw.temperature, reference.COLDEST)
    if 0 < draw.top_k < len(row):
        ids, likely = _top(row, peaks, draw.top_k, temperature)
        total = likely.sum(dtype=np.float64)
    elif draw.top_p < 1.0:
        ids, likely, total = _nucleus(row, peaks, draw, temperature, scratch)
    elif draw.min_p > FAINTEST:
        ids = peaks.at_least(lowest_logit(min(draw.min_p, 1.0), peaks.highest, temperature))
        likely = weights(row[ids], peaks.highest, temperature)
    else:
        return _pick_of_all(weights(row, peaks.highest, temperature, scratch), number)
    edge = draw.min_p
    if draw.top_p < 1.0:
        edge_of_nucleus = _nucleus_edge(likely, draw.top_p * total)
        if edge_of_nucleus is None:
            return None
        edge = max(edge, edge_of_nucleus)
    kept = likely >= np.float32(min(edge, 1.0))
    return int(ids[kept][_pick(likely[kept], number)])


def _top(row: np.ndarray, peaks: Peaks, count: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Ids and weights of the `count` likeliest tokens, and of equals of the last."""
    ids = peaks.at_least(peaks.reached_by(count) - temperature * MARGIN)
    likely = weights(row[ids], peaks.highest, temperature)
    top = likely >= np.partition(likely, -count)[-count]
    return ids[top], likely[top]


def _nucleus(
    row: np.ndarray, peaks: Peaks, draw: Draw, temperature: float, scratch: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Ids and weights of all tokens down to some weight that have the share of top_p, and the sum of all weights.

    Those that min_p cuts off are not among them, even when the share is not reached.
    """
    everything = weights(row, peaks.highest, temperature, scratch)
    total = float(everything.sum(dtype=np.float64))
    # All that are fainter than this have less than what top_p leaves out, however many they are.
    certain = (1 - draw.top_p) * total / len(row) / 2
    for floor in (*FLOORS, certain):
        lowest = min(max(floor, draw.min_p, FAINTEST), 1.0)
        ids = peaks.at_least(lowest_logit(lowest, peaks.highest, temperature))
        ids = ids[everything[ids] >= np.float32(lowest)]
        likely = everything[ids]
        if likely.sum(dtype=np.float64) > draw.top_p * total * (1 + TOLERANCE):
            break
    return ids, likely, total


def _nucleus_edge(likely: np.ndarray, wanted: float) -> float | None:
    """The smallest weight of the fewest tokens that sum up to `wanted`; None where the sum is too close to tell."""
    falling = -np.sort(-likely)
    before = np.cumsum(falling, dtype=np.float64) - falling
    fewest, most = (int((before < wanted * share).sum()) for share in (1 - TOLERANCE, 1 + TOLERANCE))
    return float(falling[max(fewest, 1) - 1]) if fewest == most else None


def _pick(likely: np.ndarray, number: float) -> int:
    cumulative = np.cumsum(likely, dtype=np.float64)
    return int(np.searchsorted(cumulative, number * cumulative[-1]))


def _pick_of_all(everything: np.ndarray, number: float) -> int | None:
    """Does what _pick does by way of the sums of blocks, whose additions do not wait for each other."""
    in_blocks = len(everything) // BLOCK * BLOCK
    sums = everything[:in_blocks].reshape(-1, BLOCK).sum(axis=1, dtype=np.float64)
    reach = _running(np.append(sums, everything[in_blocks:].sum(dtype=np.float64)))
    wanted, slack = number * reach[-1], TOLERANCE * reach[-1]
    block = max(int(np.searchsorted(reach, wanted)) - 1, 0)
    start = block * BLOCK
    within = reach[block] + _running(everything[start : start + BLOCK])
    place = int(np.searchsorted(within, wanted))  # the token whose share ends at within[place]
    if not 0 < place < len(within) or not within[place - 1] + slack < wanted < within[place] - slack:
        return None
    return start + place - 1


def _running(values: np.ndarray) -> np.ndarray:
    """[n + 1] float64: the sums of the first 0, 1, ... n values."""
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, dtype=np.float64, out=sums[1:])
    return sums
