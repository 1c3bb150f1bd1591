"""The forward pass of all families."""

import torch
from torch import Tensor

from kernels.ops import Layout, Ops
from services.executor.kv_pool import KvPool
from services.executor.models.config import DecoderConfig
from services.executor.models.rope import tables

LINEARS = (".qkv", ".output", ".gate_up", ".down")


class Decoder:
    """Weights and the pass through them. parameters: see models.parameters.shapes; the linear ones are packed here."""

    def __init__(self, config: DecoderConfig, parameters: dict[str, Tensor], ops: Ops) -> None:
        self.config = config
        self._ops = ops
        self._parameters = parameters
        for name in parameters:
            if name.endswith(LINEARS):  # one at a time: no more than one weight is held in both forms
                parameters[name] = ops.pack(parameters[name])
        self._head = ops.pack(parameters["embedding"] if config.tied_embeddings else parameters.pop("head"))
        device = parameters["embedding"].device
        cos, sin = tables(config.rope)
        self._cos, self._sin = cos.to(device), sin.to(device)

    def forward(self, token_ids: Tensor, layout: Layout, pool: KvPool, wanted: Tensor) -> Tensor:
        """Writes the KV of all T tokens into the pool; gives the last states [len(wanted), N] of those tokens."""
        config, ops, p = self.config, self._ops, self._parameters
        cos, sin = self._cos[layout.positions], self._sin[layout.positions]
        x = p["embedding"][token_ids]
        if config.embedding_multiplier != 1.0:
            x = x * config.embedding_multiplier
        for i in range(config.num_layers):
            h = ops.rms_norm(x, p[f"{i}.attention_norm"], config.norm_epsilon)
            h = self._attend(i, h, layout, pool, cos, sin)
            x = x + (h if config.residual_multiplier == 1.0 else h * config.residual_multiplier)
            h = ops.rms_norm(x, p[f"{i}.mlp_norm"], config.norm_epsilon)
            h = ops.silu_and_mul(ops.linear(h, p[f"{i}.gate_up"], p.get(f"{i}.gate_up_bias")))
            h = ops.linear(h, p[f"{i}.down"], p.get(f"{i}.down_bias"))
            x = x + (h if config.residual_multiplier == 1.0 else h * config.residual_multiplier)
        return ops.rms_norm(x[wanted], p["norm"], config.norm_epsilon)

    def logits(self, states: Tensor) -> Tensor:
        """float32 logits [B, V] after tokens with these last states [B, N]."""
        config = self.config
        logits = self._ops.linear(states, self._head, None).float()
        return logits if config.logits_divisor == 1.0 else logits / config.logits_divisor

    def _attend(self, i: int, h: Tensor, layout: Layout, pool: KvPool, cos: Tensor, sin: Tensor) -> Tensor:
        config, ops, p = self.config, self._ops, self._parameters
        qkv = ops.linear(h, p[f"{i}.qkv"], p.get(f"{i}.qkv_bias"))
        sizes = [config.query_size, config.kv_size, config.kv_size]
        query, key, value = (
            part.reshape(len(h), -1, config.head_dim) for part in torch.split(qkv, sizes, dim=-1)
        )  # [T, H or K, D]
        if config.qk_norm:
            query = ops.rms_norm(query, p[f"{i}.q_norm"], config.norm_epsilon)
            key = ops.rms_norm(key, p[f"{i}.k_norm"], config.norm_epsilon)
        if config.rotated[i]:
            query, key = ops.rotate(query, cos, sin), ops.rotate(key, cos, sin)
        ops.write_kv(pool.keys[i], pool.values[i], layout.new_slots, key, value)
        attended = ops.attention(
            query, pool.keys[i], pool.values[i], layout, scale=config.attention_scale, window=config.windows[i]
        )
        return ops.linear(attended.flatten(1), p[f"{i}.output"], p.get(f"{i}.output_bias"))


def token_tensor(token_ids: list[int], device: torch.device) -> Tensor:
    """[T] int64."""
    return torch.tensor(token_ids, dtype=torch.int64, device=device)
