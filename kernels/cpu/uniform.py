"""The reference's random numbers in uint64, which holds the product of two words, for an eighth of the time."""

from collections.abc import Sequence

import numpy as np

from xylem.kernels.reference.philox import KEY_STEPS, LOW, MULTIPLIERS, ROUNDS

WORD = np.uint64(32)  # bits


def uniform(seeds: Sequence[int], positions: Sequence[int]) -> np.ndarray:
    """One float64 in (0, 1] for each seed and position (within int64); see xylem.kernels.reference.philox."""
    keys, counters = (np.array(column, dtype=np.int64).view(np.uint64) for column in (seeds, positions))
    low = np.uint64(LOW)
    m0, m1 = (np.uint64(multiplier) for multiplier in MULTIPLIERS)
    s0, s1 = (np.uint64(step) for step in KEY_STEPS)
    k0, k1 = keys & low, keys >> WORD
    c0, c1 = counters & low, counters >> WORD
    c2 = c3 = np.zeros_like(counters)
    for _ in range(ROUNDS):
        first, second = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (second >> WORD) ^ c1 ^ k0, second & low, (first >> WORD) ^ c3 ^ k1, first & low
        k0, k1 = (k0 + s0) & low, (k1 + s1) & low
    bits = (c0 >> np.uint64(5)) * np.uint64(1 << 26) + (c1 >> np.uint64(6)) + np.uint64(1)
    return bits / np.float64(1 << 53)
