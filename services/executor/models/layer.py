"""What one layer of a decoder computes with."""

from dataclasses import dataclass

from torch import Tensor

from kernels.ops import HeadNorms
from services.executor.models.config import DecoderConfig


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights by name, those of linear layers packed; found once, because a step goes through all layers."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    head_norms: HeadNorms | None
    output: Tensor
    output_bias: Tensor | None
    mlp_norm: Tensor
    gate_up: Tensor
    gate_up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None
    window: int | None
    rotated: bool

    @classmethod
    def of(cls, config: DecoderConfig, parameters: dict[str, Tensor], i: int) -> "Layer":
        """Layer i. parameters: see models.parameters.shapes."""
        named = {name.partition(".")[2]: tensor for name, tensor in parameters.items() if name.startswith(f"{i}.")}
        head_norms = HeadNorms(named["q_norm"], named["k_norm"], config.norm_epsilon) if config.qk_norm else None
        return cls(
            attention_norm=named["attention_norm"],
            qkv=named["qkv"],
            qkv_bias=named.get("qkv_bias"),
            head_norms=head_norms,
            output=named["output"],
            output_bias=named.get("output_bias"),
            mlp_norm=named["mlp_norm"],
            gate_up=named["gate_up"],
            gate_up_bias=named.get("gate_up_bias"),
            down=named["down"],
            down_bias=named.get("down_bias"),
            window=config.windows[i],
            rotated=config.rotated[i],
        )
