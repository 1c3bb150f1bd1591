"""A kernel backend whose operations are timed: where the time of a step goes."""

import dataclasses
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from xylem.kernels import registry
from xylem.kernels.interface import LINEARS, DenseLayer, Ops, PackLinear, RunLayers

PARTS = {
    "attention": "attention",
    "add_rms_norm": "pointwise",
    "rotate_and_write": "pointwise",
    "silu_and_mul": "pointwise",
    "gelu_and_mul": "pointwise",
    "adjust": "sampling",
    "score": "sampling",
    "sample": "sampling",
}


class TimedOps:
    """Registers the backend `timed-NAME`, which does what NAME does and adds up the seconds of each part in `spent_s`.

    Two readings of the clock and an addition for each operation: about 0.3 us.
    """

    def __init__(self, name: str) -> None:
        self.name = f"timed-{name}"
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        backend = registry.load(name, torch.device("cpu"))
        timed: dict[str, Any] = {
            operation: self._timed(getattr(backend, operation), part) for operation, part in PARTS.items()
        }
        linears = {name: self._timed_linear(pack) for name, pack in backend.linears.items()}
        timed_backend = dataclasses.replace(backend, linears=linears, fuse_layers=self._timed_layers(backend), **timed)
        registry.BACKENDS[self.name] = lambda device: timed_backend

    def _timed_linear(self, pack: PackLinear) -> PackLinear:
        return lambda weight, bias: self._timed(pack(weight, bias), "linear")

    def _timed_layers(self, backend: Ops) -> Callable[[Sequence[DenseLayer], float], RunLayers | None]:
        """Layers in one call are one part, "layers"."""

        def fuse(layers: Sequence[DenseLayer], epsilon: float) -> RunLayers | None:
            plain = [
                dataclasses.replace(layer, **{name: getattr(layer, name).__wrapped__ for name in LINEARS})
                for layer in layers
            ]
            run = backend.fuse_layers(plain, epsilon)
            return None if run is None else self._timed(run, "layers")

        return fuse

    def _timed(self, operation: Callable[..., Any], part: str) -> Callable[..., Any]:
        @functools.wraps(operation, assigned=())
        def timed(*arguments: Any, **named: Any) -> Any:
            started_s = time.perf_counter()
            result = operation(*arguments, **named)
            self.spent_s[part] += time.perf_counter() - started_s
            return result

        return timed
