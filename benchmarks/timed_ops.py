"""A kernel backend whose operations are timed: where the time of a step goes."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from kernels import ops

PARTS = {
    "linear": "linear",
    "attention": "attention",
    "add_rms_norm": "pointwise",
    "rotate_and_write": "pointwise",
    "silu_and_mul": "pointwise",
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
        self.spent_s: Counter[str] = Counter()
        backend = ops.BACKENDS[name]()
        timed = {operation: self._timed(getattr(backend, operation), part) for operation, part in PARTS.items()}
        timed_backend = dataclasses.replace(backend, **timed)
        ops.BACKENDS[self.name] = lambda: timed_backend

    def _timed(self, operation: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            started_s = time.perf_counter()
            result = operation(*arguments, **named)
            self.spent_s[part] += time.perf_counter() - started_s
            return result

        return timed
