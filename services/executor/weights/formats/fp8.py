"""Checkpoints whose linear layers are in FP8, with a scale for each block of a weight (DeepSeek-AI 2024, DeepSeek-V3,
section 3.3).

They are read into the type that the model computes in, and take its room. Activations, which kernels for such models
round to eight bits as well, are not rounded.
"""

from typing import Any

import torch
from torch import Tensor

from xylem.shared.model_info.model_card import ModelError

TYPE = torch.float8_e4m3fn
SCALES = "_scale_inv"  # after the name of a weight; they are what its numbers are multiplied by

Block = tuple[int, int]  # rows and columns that share a scale


def block_of(config: dict[str, Any]) -> Block | None:
    """From a config.json: None when weights are not quantized. Raises ModelError for other ways to quantize."""
    found = config.get("quantization_config")
    if not found:
        return None
    method = found.get("quant_method") if isinstance(found, dict) else found
    if method != "fp8":
        raise ModelError(f"weights quantized by {method!r} are not supported; there is: fp8")
    block = found.get("weight_block_size")
    if not (isinstance(block, list) and len(block) == 2 and all(type(size) is int and size > 0 for size in block)):
        raise ModelError(f"fp8 weights with weight_block_size {block!r}: two positive integers are needed")
    return block[0], block[1]


def widened(weight: Tensor, scales: Tensor, block: Block) -> Tensor:
    """weight: [M, N] in FP8; scales: one for each block, [M / rows, N / columns] rounded up. Gives [M, N] float32."""
    rows, columns = block
    wide = weight.float()
    for first, of_columns in zip(range(0, len(wide), rows), scales.float(), strict=True):
        wide[first : first + rows] *= of_columns.repeat_interleave(columns)[: wide.shape[1]]
    return wide


def num_scales(shape: torch.Size, block: Block) -> tuple[int, ...]:
    """The shape of the scales of a weight."""
    return tuple(-(-size // of_block) for size, of_block in zip(shape, block, strict=True))
