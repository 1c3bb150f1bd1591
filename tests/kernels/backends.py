"""The backends that draw, as parameters of tests; and logits as a model gives them."""

import pytest
import torch

from kernels import ops

CPU = torch.device("cpu")
REFERENCE = ops.load("reference", CPU)
EACH_BACKEND = pytest.mark.parametrize("backend", [ops.load(name, CPU) for name in ops.BACKENDS], ids=ops.BACKENDS)


def logits_of(num_rows: int, vocab_size: int, *, seed: int = 0, scale: float = 2.5) -> torch.Tensor:
    """[num_rows, vocab_size] float32."""
    return torch.randn(num_rows, vocab_size, generator=torch.Generator().manual_seed(seed)) * scale
