"""Multi-head latent attention (DeepSeek-AI 2024, DeepSeek-V2, section 2.1), in its absorbed form.

The keys and values of all heads are linear maps of one latent per token, and only that is kept, with the one key that
carries the position. A score is q . (U c) = (U^T q) . c: so the map of the keys is applied to the query, that of the
values to what attention gives, and in between all heads attend to the latents themselves: multi-query attention. Keys
and values are one tensor; of its result the part that belongs to positions is left out.
"""

import torch
from torch import Tensor

from xylem.kernels.interface import AttentionKind, BatchMetadata, Ops, PackLinear
from xylem.services.executor.model_config.decoder_config import DecoderConfig

EPSILON = 1e-6  # of the norms of the latents, whatever rms_norm_eps says: so were the models trained


class LatentAttention:
    """Layer i of a decoder. Takes its weights out of `parameters`, and packs them."""

    def __init__(
        self, config: DecoderConfig, i: int, parameters: dict[str, Tensor], ops: Ops, pack: PackLinear
    ) -> None:
        assert config.latent is not None
        self._config = latent = config.latent
        self._ops = ops
        self._num_heads, self._kind = config.num_heads, AttentionKind(config.attention_scale)
        compress, query_up = parameters.pop(f"{i}.compress"), parameters.pop(f"{i}.query_up", None)
        self._num_query = len(compress) - latent.key_dim
        if latent.interleaved:
            query = compress[: self._num_query] if query_up is None else query_up
            _put_in_halves(query.view(self._num_heads, latent.query_dim, -1)[:, latent.plain_dim :])
            _put_in_halves(compress[None, -latent.rotated_dim :])
        self._compress = pack(compress, None)
        self._query_up = None if query_up is None else (parameters.pop(f"{i}.query_norm"), pack(query_up, None))
        self._kv_norm = parameters.pop(f"{i}.kv_norm")
        kv_up = parameters.pop(f"{i}.kv_up").view(self._num_heads, -1, latent.rank)
        self._key_up = kv_up[:, : latent.plain_dim].contiguous()  # [H, P, R]
        self._value_up = kv_up[:, latent.plain_dim :].transpose(1, 2).contiguous()  # [H, R, V]
        self._output = pack(parameters.pop(f"{i}.output"), None)

    def __call__(
        self, h: Tensor, layout: BatchMetadata, keys: Tensor, values: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> Tensor:
        """[T, N] -> [T, N]. keys: [S, 1, latent.key_dim], the pool of this layer; values: the same tensor."""
        latent, ops = self._config, self._ops
        query, kv = self._compress(h).tensor_split([self._num_query], dim=-1)
        if self._query_up is not None:
            norm, expand = self._query_up
            query = expand(ops.add_rms_norm(query.contiguous(), None, norm, EPSILON))
        heads = query.view(len(h), self._num_heads, -1)
        plain, rotated = heads.tensor_split([latent.plain_dim], dim=-1)
        rotated = ops.write_latent(
            rotated, kv, keys, layout.new_slots, norm=self._kv_norm, epsilon=EPSILON, rotation=rotation
        )
        absorbed = torch.bmm(plain.transpose(0, 1), self._key_up).transpose(0, 1)  # [T, H, R]
        query = torch.cat((absorbed, rotated), dim=-1)
        attended = ops.attention(query, keys, values, layout, self._kind)[..., : latent.rank]
        of_heads = torch.bmm(attended.transpose(0, 1), self._value_up).transpose(0, 1)  # [T, H, V]
        return self._output(of_heads.flatten(1))


def _put_in_halves(rows: Tensor) -> None:
    """[heads, R, X], in place: rows paired as (0, 1), (2, 3), ... become pairs (i, i + R/2), as rotation wants them.

    Scores stay what they were, since queries and keys change alike.
    """
    rows.copy_(torch.cat((rows[:, 0::2], rows[:, 1::2]), dim=1))
