"""The KV cache: pages of page_size tokens, one pair of tensors per layer."""

import torch

from xylem.kernels.interface import Ops
from xylem.services.executor.model_config.decoder_config import DecoderConfig


class KvPool:
    """keys[i], values[i]: [num_pages x page_size, K, D] of layer i. The slot of a token: page x page_size + offset.

    Both are one tensor in models with latent attention. All layers lie in one tensor, so that a page is copied at once.
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
        """Copies the first num_tokens of a page into another one, in all layers."""
        self._ops.copy_kv(self._kv, source * self.page_size, target * self.page_size, num_tokens)
