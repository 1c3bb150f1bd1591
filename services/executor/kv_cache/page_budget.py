"""The number of KV pages: from a number of bytes, or from the share of a device that the executor may use."""

from dataclasses import dataclass

import torch

from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.shared.model_info.model_card import ModelError

GB = 1e9


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Bytes of a device. free: to any process. allocated: by tensors of this process; peak: the most that ever was."""

    total: int
    free: int
    allocated: int
    peak: int


def page_bytes(config: DecoderConfig, *, page_size: int, dtype: torch.dtype) -> int:
    """Returns the bytes of one page over all layers."""
    num_tensors = config.num_layers * (2 if config.latent is None else 1)
    return num_tensors * page_size * config.kv_size * dtype.itemsize


def pages_in_bytes(kv_bytes: int, each_bytes: int) -> int:
    """Returns the pages of each_bytes that kv_bytes holds. Raises ModelError when it holds none."""
    if kv_bytes < each_bytes:
        raise ModelError(f"kv_bytes = {kv_bytes} holds no page: one takes {each_bytes} bytes")
    return kv_bytes // each_bytes


def pages_in_device(memory: DeviceMemory, each_bytes: int, *, step_bytes: int, fraction: float) -> int:
    """Returns the pages of each_bytes that fit into `fraction` of the device, beside everything else.

    memory: with the weights loaded. step_bytes: taken by the largest step; it is kept free twice, for steps whose
    kernels are launched one by one, and for the memory of the graphs. Raises ModelError with the numbers when no page
    is left.
    """
    taken = memory.total - memory.free  # by weights, libraries, and other processes on the device
    left = int(fraction * memory.total) - taken - 2 * step_bytes
    if left < each_bytes:
        raise ModelError(
            f"the model leaves no room for KV: {fraction:g} of the GPU's {memory.total / GB:.2f} GB may be used "
            f"(memory_fraction); {taken / GB:.2f} GB are taken, {memory.allocated / GB:.2f} of them by the weights, "
            f"steps need {2 * step_bytes / GB:.2f} GB (token_budget, max_running), a page {each_bytes / GB:.4f} GB"
        )
    return left // each_bytes
