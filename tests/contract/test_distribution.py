"""The wheel brings one importable name, and importing it loads nothing of a server."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.serving import ROOT


def test_the_wheel_holds_xylem_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    result = subprocess.run(build, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    [wheel] = tmp_path.glob("xylem_serve-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"xylem"}
    # Without options the wheel is built from the sdist, so that both have followed the links.
    for part in ("py.typed", "services/gateway/app.py", "shared/runtime/bus.py", "kernels/registry.py"):
        assert f"xylem/{part}" in names


def test_importing_xylem_loads_nothing_of_a_server() -> None:
    code = "import sys, xylem; print({'fastapi', 'nats', 'opentelemetry', 'pydantic'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert result.stdout == "set()\n", result.stderr
