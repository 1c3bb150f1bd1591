from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draws:
    """How rows are drawn, as columns [B] on the device of their logits; what they mean: see kernels.ops.Draw.

    temperature, min_p: float32. top_p: float64. top_k, seed: int64.
    """

    temperature: Tensor
    top_p: Tensor
    min_p: Tensor
    top_k: Tensor
    seed: Tensor
