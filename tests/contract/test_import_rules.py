"""Each import rule of pyproject.toml passes on the tree and fails on a planted violation."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "shared", "kernels", "xylem")
CONTRACTS = [
    c["name"] for c in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

# contract -> (file, line that breaks it)
VIOLATIONS = {
    "services never import one another": ("services/router/planted.py", "import xylem.services.scheduler"),
    "shared and kernels stand below everything": ("shared/planted.py", "import xylem.cli"),
    "kernels and shared are independent": ("kernels/planted.py", "import xylem.shared.protocol.columns"),
    "only the executor uses kernels": ("services/scheduler/planted.py", "import xylem.kernels.interface"),
    "in kernels, backends know the interface and not the registry": (
        "kernels/cpu/planted.py",
        "import xylem.kernels.registry",
    ),
    "in shared, what crosses the bus stands below what runs on it": (
        "shared/protocol/planted.py",
        "import xylem.shared.runtime.ports",
    ),
    "in the executor, dependencies point down": (
        "services/executor/kv_cache/planted.py",
        "import xylem.services.executor.models.decoder",
    ),
    "the gateway's folders stand in one order": (
        "services/gateway/generation/planted.py",
        "import xylem.services.gateway.http.errors",
    ),
    "nats only in the bus and the bucket": ("services/router/planted.py", "import nats"),
    "cryptography only where certificates are made": ("services/gateway/planted.py", "import cryptography"),
    "OpenTelemetry only in shared": ("services/gateway/planted.py", "import opentelemetry.trace"),
    "FastAPI only in the gateway": ("services/tokenizer/planted.py", "import fastapi"),
    "torch and its kin only in the executor and kernels": ("services/detokenizer/planted.py", "import numpy"),
    "the scheduler's core is pure": ("services/scheduler/core/planted.py", "import time"),
    "in the scheduler's core, dependencies point down": (
        "services/scheduler/core/kv_cache/planted.py",
        "import xylem.services.scheduler.core.request",
    ),
    "the command line imports only settings, supervisor_bye and the check of a model": (
        "xylem/cli/planted.py",
        "import xylem.shared.runtime.bus",
    ),
    "the client needs no server": ("xylem/client/planted.py", "import xylem.shared.protocol"),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [linter, "--no-cache"], cwd=tree, capture_output=True, text=True, env={"PYTHONPATH": str(tree)}
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The Python files of the project, copied."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, symlinks=True, ignore=shutil.ignore_patterns("model"))
    return tmp_path


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert set(VIOLATIONS) == set(CONTRACTS)


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_a_planted_violation_is_found(contract: str, tree: Path) -> None:
    file, line = VIOLATIONS[contract]
    (tree / file).write_text(f"{line}  # noqa: F401\n")
    result = lint(tree)
    assert result.returncode == 1
    assert f"{contract} BROKEN" in " ".join(result.stdout.split())
