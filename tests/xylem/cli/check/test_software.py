import importlib.metadata
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from xylem.cli.check import software


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def not_installed(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", not_installed)
    return tmp_path


def test_a_checkout_is_asked_for_its_requirements(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text('[project]\ndependencies = ["httpx>=0.28", "no-such-package-x>=1"]\n')
    found = software.packages(checkout)
    assert (found.verdict, found.detail) == ("fail", "missing: no-such-package-x")
    (checkout / "pyproject.toml").write_text('[project]\ndependencies = ["httpx>=0.28"]\n')
    assert software.packages(checkout).detail.startswith("httpx 0.")


@pytest.mark.parametrize(
    ("says", "verdict", "detail"),
    [
        ("ModuleNotFoundError: No module named 'torch'", "warn", "not installed"),
        ("OSError: libtorch.so: cannot open", "fail", "OSError: libtorch.so: cannot open"),
    ],
)
def test_a_light_install_is_no_failure_but_a_broken_torch_is(
    monkeypatch: pytest.MonkeyPatch, says: str, verdict: str, detail: str
) -> None:
    ended = subprocess.CompletedProcess([], 1, stdout="", stderr=f"Traceback ...\n{says}\n")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: ended)
    [found] = software.torch()
    assert (found.verdict, found.detail) == (verdict, detail)


def test_gpus_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = '{"version": "2.13.0", "threads": 8, "cuda": "13.0", "gpus": [["H200", 150323855360, "9.0"]]}\n'
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: subprocess.CompletedProcess([], 0, said, ""))
    torch, gpu = software.torch()
    assert torch.detail == "2.13.0, 8 threads"
    assert (gpu.subject, gpu.detail) == ("cuda:0", "H200, 140 GiB, compute capability 9.0, CUDA 13.0")
