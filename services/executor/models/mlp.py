from torch import Tensor

from xylem.kernels.interface import Ops, PackLinear


class Mlp:
    """A gated MLP. Takes its weights out of `parameters`, where their names begin with `name`, and packs them."""

    def __init__(
        self, name: str, parameters: dict[str, Tensor], ops: Ops, pack: PackLinear, *, is_gelu: bool = False
    ) -> None:
        self.is_gelu = is_gelu
        self._gate = ops.gelu_and_mul if is_gelu else ops.silu_and_mul
        self.gate_up = pack(parameters.pop(f"{name}gate_up"), parameters.pop(f"{name}gate_up_bias", None))
        self.down = pack(parameters.pop(f"{name}down"), parameters.pop(f"{name}down_bias", None))

    def __call__(self, h: Tensor) -> Tensor:
        """[T, N] -> [T, N]."""
        return self.down(self._gate(self.gate_up(h)))
