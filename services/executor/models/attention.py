from torch import Tensor

from xylem.kernels.interface import AttentionKind, BatchMetadata, HeadNorms, Ops, PackLinear
from xylem.services.executor.model_config.decoder_config import DecoderConfig


class GroupedAttention:
    """Layer i of a decoder. Takes its weights out of `parameters`, and packs them."""

    def __init__(
        self, config: DecoderConfig, i: int, parameters: dict[str, Tensor], ops: Ops, pack: PackLinear
    ) -> None:
        self._ops = ops
        self.qkv = pack(parameters.pop(f"{i}.qkv"), parameters.pop(f"{i}.qkv_bias", None))
        self.output = pack(parameters.pop(f"{i}.output"), parameters.pop(f"{i}.output_bias", None))
        self.norms = None
        if config.qk_norm:
            norms = parameters.pop(f"{i}.q_norm"), parameters.pop(f"{i}.k_norm")
            self.norms = HeadNorms(*norms, config.norm_epsilon)
        self.kind = AttentionKind(config.attention_scale, config.windows[i], config.attention_cap)
        self.is_rotated = config.rotated[i]

    def __call__(
        self, h: Tensor, layout: BatchMetadata, keys: Tensor, values: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> Tensor:
        """[T, N] -> [T, N]. keys, values: the pool of this layer."""
        ops = self._ops
        query = ops.rotate_and_write(
            self.qkv(h),
            keys,
            values,
            layout.new_slots,
            norms=self.norms,
            rotation=rotation if self.is_rotated else None,
        )
        attended = ops.attention(query, keys, values, layout, self.kind)
        return self.output(attended.flatten(1))
