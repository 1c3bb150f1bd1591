"""The forward pass of all families."""

import numpy as np
import torch
from torch import Tensor

from kernels.layout import uploaded
from kernels.ops import Layout, Ops
from services.executor.kv_pool import KvPool
from services.executor.models.config import DecoderConfig
from services.executor.models.layer import Layer
from services.executor.models.rope import tables

LINEARS = (".qkv", ".output", ".gate_up", ".down")


class Decoder:
    """Weights and the pass through them."""

    def __init__(self, config: DecoderConfig, parameters: dict[str, Tensor], ops: Ops, *, quantization: str) -> None:
        """parameters: see models.parameters.shapes; the linear ones are taken out of it and packed.

        Raises NoSuchQuantization.
        """
        self.config = config
        self._ops = ops
        pack = ops.packing(quantization)
        linears = {  # one at a time: no more than one weight is held in both forms
            name: pack(parameters.pop(name), parameters.pop(f"{name}_bias", None))
            for name in list(parameters)
            if name.endswith(LINEARS)
        }
        self._head = pack(parameters["embedding"] if config.tied_embeddings else parameters.pop("head"), None)
        self._embedding, self._norm = parameters["embedding"], parameters["norm"]
        self._layers = [Layer.of(config, parameters, linears, i) for i in range(config.num_layers)]
        device = self._embedding.device
        cos, sin = tables(config.rope)
        self._cos, self._sin = cos.to(device), sin.to(device)

    def forward(self, token_ids: Tensor, layout: Layout, pool: KvPool, wanted: Tensor) -> Tensor:
        """Writes the KV of all T tokens into the pool; gives the last states [len(wanted), N] of those tokens."""
        config, ops = self.config, self._ops
        rotation = self._cos[layout.positions], self._sin[layout.positions]
        x = self._embedding[token_ids]
        if config.embedding_multiplier != 1.0:
            x *= config.embedding_multiplier
        delta = None
        for layer, keys, values in zip(self._layers, pool.keys, pool.values, strict=True):
            h = ops.add_rms_norm(x, delta, layer.attention_norm, config.norm_epsilon)
            delta = self._weighed(self._attend(layer, h, layout, keys, values, rotation))
            h = ops.add_rms_norm(x, delta, layer.mlp_norm, config.norm_epsilon)
            delta = self._weighed(layer.down(ops.silu_and_mul(layer.gate_up(h))))
        assert delta is not None
        return ops.add_rms_norm(x[wanted], delta[wanted], self._norm, config.norm_epsilon)

    def logits(self, states: Tensor) -> Tensor:
        """float32 logits [B, V] after tokens with these last states [B, N]."""
        config = self.config
        logits = self._head(states, torch.float32)
        return logits if config.logits_divisor == 1.0 else logits / config.logits_divisor

    def _attend(
        self, layer: Layer, h: Tensor, layout: Layout, keys: Tensor, values: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> Tensor:
        ops = self._ops
        query = ops.rotate_and_write(
            layer.qkv(h),
            keys,
            values,
            layout.new_slots,
            norms=layer.head_norms,
            rotation=rotation if layer.rotated else None,
        )
        scale = self.config.attention_scale
        attended = ops.attention(query, keys, values, layout, scale=scale, window=layer.window)
        return layer.output(attended.flatten(1))

    def _weighed(self, delta: Tensor) -> Tensor:
        return delta if self.config.residual_multiplier == 1.0 else delta * self.config.residual_multiplier


def token_tensor(token_ids: list[int], device: torch.device) -> Tensor:
    """[T] int64."""
    return uploaded(np.array(token_ids, dtype=np.int64), device)
