"""Checkpoints whose linear layers are in FP8, with a scale for each block of a weight (DeepSeek-AI 2024, DeepSeek-V3,
section 3.3).

Loading widens them to the type that the model computes in, so they save no memory. Activations, which kernels for such
models round to eight bits as well, are not rounded.
"""

import torch
from torch import Tensor

from xylem.services.executor.model_config.quantization_config import Block

TYPE = torch.float8_e4m3fn
SCALES = "_scale_inv"  # after the name of a weight; they are what its numbers are multiplied by


def widened(weight: Tensor, scales: Tensor, block: Block) -> Tensor:
    """Multiplies an FP8 weight [M, N] by the scales of its blocks, [M / rows, N / columns] rounded up, in float32."""
    rows, columns = block
    wide = weight.float()
    for first, of_columns in zip(range(0, len(wide), rows), scales.float(), strict=True):
        wide[first : first + rows] *= of_columns.repeat_interleave(columns)[: wide.shape[1]]
    return wide


def num_scales(shape: torch.Size, block: Block) -> tuple[int, ...]:
    """Returns the shape of the scales of a weight."""
    return tuple(-(-size // of_block) for size, of_block in zip(shape, block, strict=True))
