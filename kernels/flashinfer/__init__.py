"""FlashInfer's kernels for attention on NVIDIA GPUs, where the package is installed; the rest is the Triton backend's.

It compiles its kernels at the first use, which takes nvcc and minutes, unless they come with it: so it is asked for by
name. Its sampling is not used: it draws other numbers, and the token of a seed and position is the same on every
backend, or a request that goes on elsewhere would become another text.
"""

from dataclasses import replace

import torch

from xylem.kernels import triton
from xylem.kernels.flashinfer.attention import attention
from xylem.kernels.interface import Ops


def load(device: torch.device) -> Ops:
    """The backend for a device. Raises BackendUnavailable for one that is no GPU."""
    return replace(triton.load(device), name="flashinfer", attention=attention)
