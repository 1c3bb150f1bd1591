"""Where kernels run in this process, and the backends that are compared there."""

import torch

from xylem.kernels import registry
from xylem.kernels.interface import Ops

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
TRITON: Ops = registry.load("triton", DEVICE)
REFERENCE: Ops = registry.load("reference", DEVICE)

# bfloat16 is what a GPU serves; the reference rounds it more often than the kernels do.
TOLERANCES = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}
EACH_TYPE = tuple(TOLERANCES) if ON_GPU else (torch.float32, torch.float16)


def close(given: object, expected: object, dtype: torch.dtype) -> None:
    torch.testing.assert_close(given, expected, atol=TOLERANCES[dtype], rtol=TOLERANCES[dtype])


def random(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    """The same numbers on every device."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)
