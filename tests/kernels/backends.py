"""The backends that draw, as parameters of tests; and logits as a model gives them."""

import contextlib

import pytest
import torch

from xylem.kernels import registry
from xylem.kernels.interface import Ops

CPU = torch.device("cpu")
REFERENCE = registry.load("reference", CPU)


def _here() -> list[Ops]:
    """Those that this machine can run."""
    found = []
    for name in registry.BACKENDS:
        with contextlib.suppress(registry.BackendUnavailable):
            found.append(registry.load(name, CPU))
    return found


BACKENDS = {backend.name: backend for backend in _here()}
NEEDS_NATIVE = pytest.mark.skipif("native" not in BACKENDS, reason="this machine can't run the native kernels")
EACH_BACKEND = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)


def logits_of(num_rows: int, vocab_size: int, *, seed: int = 0, scale: float = 2.5) -> torch.Tensor:
    """[num_rows, vocab_size] float32."""
    return torch.randn(num_rows, vocab_size, generator=torch.Generator().manual_seed(seed)) * scale
