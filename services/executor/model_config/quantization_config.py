"""Quantization of a checkpoint's weights as config.json describes it."""

from typing import Any

from xylem.shared.model_info.model_card import ModelError

Block = tuple[int, int]  # rows and columns of a weight that share a scale


def fp8_block_of(config: dict[str, Any]) -> Block | None:
    """Reads the block size of FP8 weights; None when weights are not quantized. Raises ModelError for other methods."""
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
