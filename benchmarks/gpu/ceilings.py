"""What the machine can do at most, by its own measure: bytes and floating-point operations per second."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from benchmarks.gpu.clock import seconds
from benchmarks.gpu.scale import Scale


@dataclass(frozen=True)
class Ceilings:
    bytes_per_s: float
    flops: float

    def floor_s(self, num_bytes: float, num_flops: float) -> float:
        """The least time for work that moves and computes so much."""
        return max(num_bytes / self.bytes_per_s, num_flops / self.flops)


def ceilings(scale: Scale, device: torch.device) -> Ceilings:
    """A copy, which reads and writes each byte, and a product of square matrices."""
    copy_s, gemm_s = _copy_s(scale, device), _gemm_s(scale, device)
    return Ceilings(2 * scale.copy_bytes / copy_s, 2 * scale.gemm_size**3 / gemm_s)


def _copy_s(scale: Scale, device: torch.device) -> float:
    source = torch.zeros(scale.copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return seconds(lambda: target.copy_(source), device, scale.repeats)


def _gemm_s(scale: Scale, device: torch.device) -> float:
    size, dtype = scale.gemm_size, getattr(torch, scale.dtype)
    left, right = torch.randn(2, size, size, dtype=dtype, device=device)
    return seconds(lambda: left @ right, device, scale.repeats)


def measure(found: Ceilings) -> dict[str, Any]:
    return {"GB/s": round(found.bytes_per_s / 1e9, 1), "TFLOP/s": round(found.flops / 1e12, 3), "raw": asdict(found)}
