"""Compiles for an sm_90, on a machine without one, what the operations would launch there."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

TARGET = GPUTarget("cuda", 90, 32)


class Absent:
    """What Triton asks of a driver before it compiles; there is nothing to launch on."""

    def get_current_target(self) -> GPUTarget:
        return TARGET

    def get_current_device(self) -> str:
        return "an absent sm_90"  # the key of a cache that a device that is here must not share

    def get_current_stream(self, device: str) -> int:
        return 0


@dataclass(frozen=True)
class Resources:
    """What one compiled kernel takes of a multiprocessor. spilled_bytes: registers of a thread that lie in memory."""

    kernel: str
    registers: int
    shared_bytes: int
    spilled_bytes: int
    num_warps: int


@contextmanager
def compiled(folder: Path) -> Iterator[list[Resources]]:
    """Within it launches only compile, with the types, constants and alignments that they were called with."""
    found: dict[str, Resources] = {}
    resources: list[Resources] = []
    run, active = JITFunction.run, driver._active

    def compile_only(self: Any, *args: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        kernel = run(self, *args, grid=grid, warmup=True, **options)
        if kernel.hash not in found:
            found[kernel.hash] = _resources(kernel, folder / f"{kernel.hash}.cubin")
            resources.append(found[kernel.hash])
        return kernel

    JITFunction.run = compile_only
    driver.set_active(Absent())
    try:
        yield resources
    finally:
        JITFunction.run, driver._active = run, active


def _resources(kernel: Any, cubin: Path) -> Resources:
    cubin.write_bytes(kernel.asm["cubin"])
    command = [knobs.nvidia.cuobjdump.path, "--dump-resource-usage", str(cubin)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    usage = {name: int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", told)}
    return Resources(
        kernel=kernel.metadata.name,
        registers=usage["REG"],
        shared_bytes=kernel.metadata.shared,
        spilled_bytes=usage["STACK"] + usage["LOCAL"],
        num_warps=kernel.metadata.num_warps,
    )
