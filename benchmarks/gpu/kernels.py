"""Kernel by kernel: how far from the reference in float64, and how near to what the machine can do."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.gpu.cases import Case, Cases
from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.clock import seconds
from benchmarks.gpu.scale import Scale
from xylem.kernels import registry
from xylem.kernels.interface import Ops


def measure(
    scale: Scale, device: torch.device, most: Ceilings, backend: str, note: Callable[[Any], None]
) -> list[dict[str, Any]]:
    """note(what there is so far)."""
    kernels, reference = registry.load(backend, device), registry.load("reference", device)
    rows: list[dict[str, Any]] = []
    for case in Cases(scale, device):
        rows.append(_measured(case, kernels, reference, scale, device, most))
        note(rows)
    return rows


@torch.inference_mode()
def _measured(
    case: Case, kernels: Ops, reference: Ops, scale: Scale, device: torch.device, most: Ceilings
) -> dict[str, Any]:
    row: dict[str, Any] = {"kernel": case.name, "shape": case.shape, "backend": kernels.name}
    try:
        # Before the clock runs: adding to a sum in place changes what is added to.
        right = case.run(reference, True)
        off = (case.run(kernels, False).double() - right.double()).abs().max()
        row["error"] = float(off / right.double().abs().max().clamp(min=1e-9))
        took_s = seconds(lambda: case.run(kernels, False), device, scale.repeats)
    except Exception as error:  # a compiler has errors of its own kinds
        return {**row, "left_out": f"{type(error).__name__}: {str(error)[:200]}"}
    floor_s = most.floor_s(case.num_bytes, case.num_flops)
    return {
        **row,
        "us": round(took_s * 1e6, 2),
        "floor_us": round(floor_s * 1e6, 2),
        "share": round(floor_s / took_s, 3),
    }
