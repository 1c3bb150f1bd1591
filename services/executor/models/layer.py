"""This module holds what one layer of a decoder computes with."""

from dataclasses import dataclass

from torch import Tensor

from xylem.kernels.interface import DenseLayer, Ops, PackLinear
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.models.attention import GroupedAttention
from xylem.services.executor.models.mla import LatentAttention
from xylem.services.executor.models.mlp import Mlp
from xylem.services.executor.models.moe import MixtureOfExperts


@dataclass(frozen=True, slots=True)
class Layer:
    """Found once by name, because every step goes through all layers."""

    attention_norm: Tensor
    attention: GroupedAttention | LatentAttention
    mlp_norm: Tensor
    mlp: Mlp | MixtureOfExperts
    attention_post_norm: Tensor | None
    mlp_post_norm: Tensor | None

    @classmethod
    def of(cls, config: DecoderConfig, i: int, parameters: dict[str, Tensor], ops: Ops, pack: PackLinear) -> "Layer":
        """Layer i. parameters: those of `decoder_map.parameter_shapes`; the layer's own are taken out."""
        attention = GroupedAttention if config.latent is None else LatentAttention
        mlp = (
            MixtureOfExperts(config, i, parameters, ops, pack)
            if config.has_experts(i)
            else Mlp(f"{i}.", parameters, ops, pack, is_gelu=config.activation == "gelu")
        )
        return cls(
            attention_norm=parameters.pop(f"{i}.attention_norm"),
            attention=attention(config, i, parameters, ops, pack),
            mlp_norm=parameters.pop(f"{i}.mlp_norm"),
            mlp=mlp,
            attention_post_norm=parameters.pop(f"{i}.attention_post_norm", None),
            mlp_post_norm=parameters.pop(f"{i}.mlp_post_norm", None),
        )

    def as_dense(self, config: DecoderConfig) -> DenseLayer | None:
        """Returns the layer as data, where it is of the plain kind."""
        attention, mlp = self.attention, self.mlp
        if not isinstance(attention, GroupedAttention) or not isinstance(mlp, Mlp):
            return None
        return DenseLayer(
            attention_norm=self.attention_norm,
            qkv=attention.qkv,
            head_norms=attention.norms,
            is_rotated=attention.is_rotated,
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            kind=attention.kind,
            output=attention.output,
            mlp_norm=self.mlp_norm,
            gate_up=mlp.gate_up,
            down=mlp.down,
            is_gelu=mlp.is_gelu,
            norm_offset=config.norm_offset,
            attention_post_norm=self.attention_post_norm,
            mlp_post_norm=self.mlp_post_norm,
        )
