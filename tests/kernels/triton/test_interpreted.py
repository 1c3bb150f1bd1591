"""The tests of `device` in a process whose kernels are interpreted: Triton asks once, when it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kernels import ops


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the tests of `device` run by themselves")
def test_kernels_do_what_the_reference_does() -> None:
    command = [sys.executable, "-m", "pytest", str(Path(__file__).with_name("device")), "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def test_kernels_that_are_not_interpreted_need_a_gpu() -> None:
    with pytest.raises(ops.BackendUnavailable, match="need a GPU, not the device 'cpu'"):
        ops.load("triton", torch.device("cpu"))
