"""What one layer of a decoder computes with."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from kernels.ops import HeadNorms, Linear
from services.executor.models.config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Layer:
    """Found once by name, because every step goes through all layers."""

    attention_norm: Tensor
    qkv: Linear
    head_norms: HeadNorms | None
    output: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear
    window: int | None
    rotated: bool

    @classmethod
    def of(
        cls, config: DecoderConfig, parameters: Mapping[str, Tensor], linears: Mapping[str, Linear], i: int
    ) -> "Layer":
        """Layer i. parameters, linears: see models.parameters.shapes."""
        head_norms = None
        if config.qk_norm:
            head_norms = HeadNorms(parameters[f"{i}.q_norm"], parameters[f"{i}.k_norm"], config.norm_epsilon)
        return cls(
            attention_norm=parameters[f"{i}.attention_norm"],
            qkv=linears[f"{i}.qkv"],
            head_norms=head_norms,
            output=linears[f"{i}.output"],
            mlp_norm=parameters[f"{i}.mlp_norm"],
            gate_up=linears[f"{i}.gate_up"],
            down=linears[f"{i}.down"],
            window=config.windows[i],
            rotated=config.rotated[i],
        )
