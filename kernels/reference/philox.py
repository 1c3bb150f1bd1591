"""One uniform number per (seed, position): the counter-based generator Philox4x32-10.

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The seed is the key, the position
the counter, so a draw needs no state and is the same in any batch and on any device. int64 tensors hold the 32-bit
words: torch has no unsigned 32-bit multiplication on every device.
"""

import torch
from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF


def _multiply(word: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32-bit product, without leaving the range of int64."""
    low = word * (constant & 0xFFFF)  # at most 48 bits
    high = word * (constant >> 16)
    middle = (low >> 16) + (high & 0xFFFF)
    return (high >> 16) + (middle >> 16), ((middle & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four 32-bit words for each counter and key; all of them int64 tensors of one shape with values below 2**32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high1, low1 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    return c0, c1, c2, c3


def uniform(seeds: Tensor, positions: Tensor) -> Tensor:
    """One float64 in (0, 1] for each seed and position (int64, one shape), with 53 random bits."""
    zero = torch.zeros_like(positions)
    counter = (positions & LOW, (positions >> 32) & LOW, zero, zero)
    first, second, _, _ = philox(counter, (seeds & LOW, (seeds >> 32) & LOW))
    return ((first >> 5) * 67108864 + (second >> 6) + 1).double() / 9007199254740992.0
