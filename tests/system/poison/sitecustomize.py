"""On the path of an executor's process this makes seeds into faults: the process ends, or a step raises.

Python imports it at its start, before any of the product's modules. Only executors look at it.
"""

import os
import sys
from typing import Any

ABORT, RAISE, OUT_OF_MEMORY, ONE_ROW = 66_600, 66_601, 66_602, 66_603


def _strike(seed: int) -> None:
    if seed == ABORT:
        os.abort()
    if seed == RAISE:
        raise IndexError("a fault of the test")
    if seed == OUT_OF_MEMORY:
        raise MemoryError("a fault of the test")


def _install() -> None:
    from xylem.services.executor.model_runner.cpu import CpuModelRunner
    from xylem.services.executor.step.logits_processor import LogitsProcessor

    launch, adjustment = CpuModelRunner.launch_step, LogitsProcessor.adjustment

    def struck(self: CpuModelRunner, rows: Any) -> Any:
        for row in rows:
            _strike(row.sampling.seed)
        return launch(self, rows)

    def struck_row(self: LogitsProcessor) -> Any:
        if self._sampling.seed == ONE_ROW:
            raise IndexError("a fault of the test")
        return adjustment(self)

    CpuModelRunner.launch_step = struck  # type: ignore[method-assign]
    LogitsProcessor.adjustment = struck_row  # type: ignore[method-assign]


if "xylem.services.executor" in sys.orig_argv:
    _install()
