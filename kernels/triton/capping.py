"""Scores as powers of two, and their soft cap (Gemma Team, "Gemma 2", 2024)."""

import triton
import triton.language as tl

from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.triton.exponents import LARGEST, LOG2_E


@triton.jit
def capped_by(scores: tl.tensor, cap: tl.tensor) -> tl.tensor:
    """cap x tanh(scores), by way of 1 - 2 / (e^2x + 1)."""
    return cap * (1.0 - 2.0 / (tl.exp(tl.minimum(2.0 * scores, LARGEST)) + 1.0))


def scale_and_cap(kind: AttentionKind) -> tuple[float, float]:
    """Returns what kernels multiply products with, and the cap after that: the result is log2 e times the scores."""
    return (kind.scale * LOG2_E, 0.0) if kind.cap is None else (kind.scale / kind.cap, kind.cap * LOG2_E)
