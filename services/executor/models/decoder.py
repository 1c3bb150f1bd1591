"""The forward pass of all families."""

import torch
from torch import Tensor

from kernels.ops import HeadNorms, Layout, Ops
from services.executor.kv_pool import KvPool
from services.executor.models.config import DecoderConfig
from services.executor.models.mla import LatentAttention
from services.executor.models.moe import Mixture
from services.executor.models.rope import tables

LINEARS = (".qkv", ".output", ".gate_up", ".down")


class Decoder:
    """Weights and the pass through them. parameters: see models.parameters.shapes; the linear ones are packed here."""

    def __init__(self, config: DecoderConfig, parameters: dict[str, Tensor], ops: Ops) -> None:
        self.config = config
        self._ops = ops
        self._parameters = parameters
        self._latents = [
            LatentAttention(config, i, parameters, ops) if config.latent is not None else None
            for i in range(config.num_layers)
        ]
        self._mixtures = [
            Mixture(config, i, parameters, ops) if config.has_experts(i) else None for i in range(config.num_layers)
        ]
        for name in parameters:
            if name.endswith(LINEARS):  # one at a time: no more than one weight is held in both forms
                parameters[name] = ops.pack(parameters[name])
        self._head = ops.pack(parameters["embedding"] if config.tied_embeddings else parameters.pop("head"))
        device = parameters["embedding"].device
        self._head_norms = [
            HeadNorms(parameters[f"{i}.q_norm"], parameters[f"{i}.k_norm"], config.norm_epsilon)
            if config.qk_norm
            else None
            for i in range(config.num_layers)
        ]
        cos, sin = tables(config.rope)
        self._cos, self._sin = cos.to(device), sin.to(device)

    def forward(self, token_ids: Tensor, layout: Layout, pool: KvPool, wanted: Tensor) -> Tensor:
        """Writes the KV of all T tokens into the pool; gives the last states [len(wanted), N] of those tokens."""
        config, ops, p = self.config, self._ops, self._parameters
        rotation = self._cos[layout.positions], self._sin[layout.positions]
        x = p["embedding"][token_ids]
        if config.embedding_multiplier != 1.0:
            x *= config.embedding_multiplier
        delta = None
        for i in range(config.num_layers):
            h = ops.add_rms_norm(x, delta, p[f"{i}.attention_norm"], config.norm_epsilon)
            delta = self._weighed(self._attend(i, h, layout, pool, rotation))
            h = ops.add_rms_norm(x, delta, p[f"{i}.mlp_norm"], config.norm_epsilon)
            delta = self._weighed(self._mlp(i, h))
        assert delta is not None
        return ops.add_rms_norm(x[wanted], delta[wanted], p["norm"], config.norm_epsilon)

    def logits(self, states: Tensor) -> Tensor:
        """float32 logits [B, V] after tokens with these last states [B, N]."""
        config = self.config
        logits = self._ops.linear(states, self._head, None).float()
        return logits if config.logits_divisor == 1.0 else logits / config.logits_divisor

    def _attend(self, i: int, h: Tensor, layout: Layout, pool: KvPool, rotation: tuple[Tensor, Tensor]) -> Tensor:
        config, ops, p, latent = self.config, self._ops, self._parameters, self._latents[i]
        keys, values = pool.keys[i], pool.values[i]
        if latent is not None:
            return latent(h, layout, keys, rotation)
        query = ops.rotate_and_write(
            ops.linear(h, p[f"{i}.qkv"], p.get(f"{i}.qkv_bias")),
            keys,
            values,
            layout.new_slots,
            norms=self._head_norms[i],
            rotation=rotation if config.rotated[i] else None,
        )
        attended = ops.attention(query, keys, values, layout, scale=config.attention_scale, window=config.windows[i])
        return ops.linear(attended.flatten(1), p[f"{i}.output"], p.get(f"{i}.output_bias"))

    def _mlp(self, i: int, h: Tensor) -> Tensor:
        ops, p, mixture = self._ops, self._parameters, self._mixtures[i]
        if mixture is not None:
            return mixture(h)
        h = ops.silu_and_mul(ops.linear(h, p[f"{i}.gate_up"], p.get(f"{i}.gate_up_bias")))
        return ops.linear(h, p[f"{i}.down"], p.get(f"{i}.down_bias"))

    def _weighed(self, delta: Tensor) -> Tensor:
        return delta if self.config.residual_multiplier == 1.0 else delta * self.config.residual_multiplier


def token_tensor(token_ids: list[int], device: torch.device) -> Tensor:
    """[T] int64."""
    return torch.tensor(token_ids, dtype=torch.int64, device=device)
