"""The tests of `device` in processes whose kernels are interpreted: Triton asks once, when it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from xylem.kernels import registry

FILES = sorted(Path(__file__).with_name("device").glob("test_*.py"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU the tests of `device` run by themselves")
@pytest.mark.parametrize("file", FILES, ids=[file.stem.removeprefix("test_") for file in FILES])
def test_kernels_do_what_the_reference_does(file: Path) -> None:
    command = [sys.executable, "-m", "pytest", str(file), "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def test_kernels_that_are_not_interpreted_need_a_gpu() -> None:
    with pytest.raises(registry.BackendUnavailable, match="need a GPU, not the device 'cpu'"):
        registry.load("triton", torch.device("cpu"))
