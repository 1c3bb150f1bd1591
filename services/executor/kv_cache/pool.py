"""The memory of keys and values: pages of page_size tokens, one pair of tensors per layer."""

import torch

from xylem.kernels.interface import Ops
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.shared.model_info.model_card import ModelError


class KvPool:
    """keys[i], values[i]: [num_pages x page_size, K, D] of layer i. The slot of a token: page x page_size + offset.

    Of models with latent attention they are one tensor. All lie in one, so that a page is copied at once.
    """

    def __init__(
        self, config: DecoderConfig, ops: Ops, *, num_pages: int, page_size: int, dtype: torch.dtype,
        device: torch.device,
    ) -> None:  # fmt: skip
        self._ops = ops
        self.num_pages = num_pages
        self.page_size = page_size
        num_kinds = 2 if config.latent is None else 1
        shape = (num_kinds * config.num_layers, num_pages * page_size, config.num_kv_heads, config.head_dim)
        self._kv = ops.new_kv(shape, dtype, device)
        self.keys = list(self._kv[: config.num_layers])
        self.values = self.keys if config.latent is not None else list(self._kv[config.num_layers :])

    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """The first num_tokens of a page into another one, in all layers."""
        self._ops.copy_kv(self._kv, source * self.page_size, target * self.page_size, num_tokens)


def page_bytes(config: DecoderConfig, *, page_size: int, dtype: torch.dtype) -> int:
    """Bytes of one page over all layers."""
    num_tensors = config.num_layers * (2 if config.latent is None else 1)
    return num_tensors * page_size * config.kv_size * dtype.itemsize


def pages_that_fit(kv_bytes: int, config: DecoderConfig, *, page_size: int, dtype: torch.dtype) -> int:
    """Pages in kv_bytes. Raises ModelError when that is not even one."""
    each = page_bytes(config, page_size=page_size, dtype=dtype)
    if kv_bytes < each:
        raise ModelError(f"kv_bytes = {kv_bytes} holds no page: one takes {each} bytes")
    return kv_bytes // each
