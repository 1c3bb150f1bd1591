"""The MLP of a layer as a mixture of experts."""

from torch import Tensor

from kernels.ops import Ops
from services.executor.models.config import DecoderConfig
from services.executor.models.routing import route


class Mixture:
    """Layer i of a decoder. Takes its weights out of `parameters`, and packs them."""

    def __init__(self, config: DecoderConfig, i: int, parameters: dict[str, Tensor], ops: Ops) -> None:
        assert config.experts is not None
        self._config = config.experts
        self._ops = ops
        self._router = ops.pack(parameters.pop(f"{i}.router"))
        self._bias = parameters.pop(f"{i}.router_bias", None)
        self._gate_up = ops.pack_experts(parameters.pop(f"{i}.expert_gate_up"))
        self._down = ops.pack_experts(parameters.pop(f"{i}.expert_down"))
        self._shared = Shared(i, parameters, ops) if config.experts.shared_size else None

    def __call__(self, h: Tensor) -> Tensor:
        """[T, N] -> [T, N]."""
        logits = self._ops.linear(h.float(), self._router, None)
        mixed = self._ops.mix_experts(h, self._gate_up, self._down, *route(logits, self._config, self._bias))
        return mixed if self._shared is None else mixed + self._shared(h)


class Shared:
    """The expert that every token goes through. Several in a file are one here, as wide as all of them."""

    def __init__(self, i: int, parameters: dict[str, Tensor], ops: Ops) -> None:
        self._ops = ops
        self._gate_up = ops.pack(parameters.pop(f"{i}.shared_gate_up"))
        self._down = ops.pack(parameters.pop(f"{i}.shared_down"))
        gate = parameters.pop(f"{i}.shared_gate", None)
        self._gate = None if gate is None else ops.pack(gate)

    def __call__(self, h: Tensor) -> Tensor:
        """[T, N] -> [T, N]."""
        ops = self._ops
        result = ops.linear(ops.silu_and_mul(ops.linear(h, self._gate_up, None)), self._down, None)
        return result if self._gate is None else ops.linear(h, self._gate, None).sigmoid() * result
