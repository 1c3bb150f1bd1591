"""The threads of the native kernels: whoever is missing is not waited for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import BACKENDS, NEEDS_NATIVE
from xylem.kernels.interface import Linear

pytestmark = NEEDS_NATIVE

# Prints whether a forked process, which has none of the threads, comes to the same result.
FORKED = """
import os, torch
from xylem.kernels.native.backend import OPS
torch.set_num_threads(3)
linear = OPS.packing("none")(torch.ones(4096, 64).bfloat16(), None)
x = torch.ones(40, 64).bfloat16()
whole = linear(x).view(torch.int16).numpy().tobytes()
child = os.fork()
if child == 0:
    os._exit(0 if linear(x).view(torch.int16).numpy().tobytes() == whole else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def many_threads() -> Iterator[None]:
    """More than there are cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(4 * (os.cpu_count() or 1) - 1)
    yield
    torch.set_num_threads(before)


def problem() -> tuple[Linear, Tensor, Tensor]:
    """A layer, its input, and what comes out of it by one thread."""
    torch.manual_seed(0)
    linear = BACKENDS["native"].packing("none")(torch.randn(3000, 512).bfloat16(), None)
    x = torch.randn(40, 512).bfloat16()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = linear(x)
    torch.set_num_threads(threads)
    return linear, x, alone


def test_more_threads_than_cores(many_threads: None) -> None:
    linear, x, alone = problem()
    assert all(torch.equal(linear(x), alone) for _ in range(200))


def test_several_callers_at_once(many_threads: None) -> None:
    linear, x, alone = problem()

    def call(_: int) -> bool:
        return torch.equal(linear(x), alone)

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(call, range(200)))


def test_a_process_without_the_threads() -> None:
    said = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert said.stdout == "0\n", said.stderr
