"""The MLP of a layer as a mixture of experts."""

from torch import Tensor

from xylem.kernels.interface import Ops, PackLinear
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.models.mlp import Mlp
from xylem.services.executor.models.moe_router import route


class MixtureOfExperts:
    """Layer i of a decoder. Takes its weights out of `parameters`, and packs them."""

    def __init__(
        self, config: DecoderConfig, i: int, parameters: dict[str, Tensor], ops: Ops, pack: PackLinear
    ) -> None:
        assert config.experts is not None
        self._config = config.experts
        self._ops = ops
        exact = ops.packing("none")  # gates are small, and much hangs on them
        self._router = exact(parameters.pop(f"{i}.router"), None)
        self._bias = parameters.pop(f"{i}.router_bias", None)
        self._gate_up = ops.pack_experts(parameters.pop(f"{i}.expert_gate_up"), pack)
        self._down = ops.pack_experts(parameters.pop(f"{i}.expert_down"), pack)
        # The expert that every token goes through. Several in a file are one here, as wide as all of them.
        self._shared = Mlp(f"{i}.shared_", parameters, ops, pack) if config.experts.shared_size else None
        gate = parameters.pop(f"{i}.shared_gate", None)
        self._shared_gate = None if gate is None else exact(gate, None)

    def __call__(self, h: Tensor) -> Tensor:
        """[T, N] -> [T, N]."""
        logits = self._router(h.float())
        mixed = self._ops.mix_experts(h, self._gate_up, self._down, *route(logits, self._config, self._bias))
        if self._shared is None:
            return mixed
        shared = self._shared(h)
        return mixed + (shared if self._shared_gate is None else self._shared_gate(h).sigmoid() * shared)
