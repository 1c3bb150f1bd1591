"""Weights of tokens: their probability over that of the likeliest. Bit for bit those of the reference."""

import numpy as np
import torch

# Tokens that torch takes at once: fewer than what it would split among threads, whose waiting for each other takes
# longer than the work as soon as another process wants their cores.
PIECE = 1 << 14
# By how much the exponents of two tokens must differ for the order of their weights to be certain: 1e-7 of exponents
# up to 104, beyond which weights are 0, and a unit in the last place of exp.
MARGIN = 1e-4


def weights(logits: np.ndarray, highest: np.float32, temperature: float, out: np.ndarray | None = None) -> np.ndarray:
    """exp((logits - highest) / temperature) of any number of a row's logits, float32.

    out: where the result goes. Memory that is new for each row takes five times as long, since it has to be mapped.
    """
    result: np.ndarray = np.subtract(logits, highest, out=out)
    if temperature != 1.0:
        result /= np.float32(temperature)
    exponents = torch.from_numpy(result)
    for start in range(0, len(exponents), PIECE):
        exponents[start : start + PIECE].exp_()  # numpy's exp rounds otherwise
    return result


def lowest_logit(weight: float, highest: np.float32, temperature: float) -> float:
    """A bound that all logits reach whose weight is at least this one, above 0."""
    return float(highest) + temperature * (float(np.log(weight)) - MARGIN)
