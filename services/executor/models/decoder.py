"""The forward pass of all families."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.kernels.batch_metadata import uploaded
from xylem.kernels.interface import BatchMetadata, Ops, RunLayers
from xylem.services.executor.kv_cache.pool import KvPool
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.models.layer import Layer
from xylem.services.executor.models.rope import tables

# Heads that get more bits than the layers: errors of logits are not averaged out by anything behind them.
HEADS = {"int4": "int8"}


class Decoder:
    """Weights and the pass through them."""

    def __init__(self, config: DecoderConfig, parameters: dict[str, Tensor], ops: Ops, *, quantization: str) -> None:
        """parameters: those of `decoder_map.parameter_shapes`; each is taken out, the linear ones packed.

        Raises NoSuchQuantization.
        """
        self.config = config
        self._ops = ops
        pack = ops.packing(quantization)
        self.has_head = config.tied_embeddings or "head" in parameters
        head = parameters.pop("head") if "head" in parameters else parameters["embedding"]
        self._head = ops.packing(HEADS.get(quantization, quantization))(head, None)
        self._embedding, self._norm = parameters["embedding"], parameters["norm"]
        self._layers = [Layer.of(config, i, parameters, ops, pack) for i in range(config.num_layers)]
        self._run_layers = self._fused()
        device = self._embedding.device
        cos, sin = tables(config.rope)
        self._cos, self._sin = cos.to(device), sin.to(device)

    def forward(self, token_ids: Tensor, layout: BatchMetadata, pool: KvPool, wanted: Tensor) -> Tensor:
        """Writes the KV of all T tokens into the pool; gives the last states [len(wanted), N] of those tokens."""
        config = self.config
        # Not by [...]: for eight rows torch wakes its threads, which then keep those of kernels from their cores.
        rotation = self._cos.index_select(0, layout.positions), self._sin.index_select(0, layout.positions)
        x = self._embedding.index_select(0, token_ids)
        if config.embedding_multiplier != 1.0:
            x *= config.embedding_multiplier
        delta = self._run_layers(x, layout, pool.keys, pool.values, rotation)
        x, delta = x.index_select(0, wanted), delta.index_select(0, wanted)
        return self._normed(x, delta, self._norm)

    def _fused(self) -> RunLayers:
        """The layers in one call, where the backend has that for them."""
        dense = [layer.as_dense(self.config) for layer in self._layers]
        if self.config.residual_multiplier != 1.0 or None in dense:
            return self._one_by_one
        return self._ops.fuse_layers([layer for layer in dense if layer], self.config.norm_epsilon) or self._one_by_one

    def _one_by_one(
        self,
        x: Tensor,
        layout: BatchMetadata,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        rotation: tuple[Tensor, Tensor],
    ) -> Tensor:
        """See xylem.kernels.interface.RunLayers."""
        delta = None
        for layer, of_keys, of_values in zip(self._layers, keys, values, strict=True):
            h = self._normed(x, delta, layer.attention_norm)
            delta = self._weighed(layer.attention(h, layout, of_keys, of_values, rotation), layer.attention_post_norm)
            h = self._normed(x, delta, layer.mlp_norm)
            delta = self._weighed(layer.mlp(h), layer.mlp_post_norm)
        assert delta is not None
        return delta

    def compute_logits(self, states: Tensor) -> Tensor:
        """float32 logits [B, V] after tokens with these last states [B, N]."""
        config = self.config
        logits = self._head(states, torch.float32)
        if config.logits_cap is not None:
            logits = config.logits_cap * torch.tanh(logits / config.logits_cap)
        return logits if config.logits_divisor == 1.0 else logits / config.logits_divisor

    def _normed(self, x: Tensor, delta: Tensor | None, weight: Tensor) -> Tensor:
        return self._ops.add_rms_norm(x, delta, weight, self.config.norm_epsilon, offset=self.config.norm_offset)

    def _weighed(self, delta: Tensor, norm: Tensor | None) -> Tensor:
        """Returns what a block adds to its input."""
        if norm is not None:
            delta = self._normed(delta, None, norm)
        return delta if self.config.residual_multiplier == 1.0 else delta * self.config.residual_multiplier


def token_tensor(token_ids: list[int], device: torch.device) -> Tensor:
    """[T] int64."""
    return uploaded(np.array(token_ids, dtype=np.int64), device)
