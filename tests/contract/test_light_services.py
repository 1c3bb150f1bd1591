"""The five light services start without torch; their memory at start is printed."""

import subprocess
import sys

import pytest

LIGHT = ("gateway", "tokenizer", "router", "scheduler", "detokenizer")
HEAVY = ("torch", "transformers", "numpy", "triton", "flashinfer", "xgrammar", "llguidance", "safetensors")
MAX_MIB = 120  # well above what they take (50 to 70); torch alone would add 200

CODE = """
import importlib, sys
importlib.import_module("xylem.services.{name}.service")
heavy = [module for module in {heavy!r} if module in sys.modules]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmRSS"].split()[0], *heavy)
"""


@pytest.mark.parametrize("name", LIGHT)
def test_no_heavy_module_is_loaded(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = CODE.format(name=name, heavy=HEAVY)
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    mib = int(output[0]) / 1024
    with capsys.disabled():
        print(f"\n{name}: {mib:.0f} MiB after its imports")
    assert output[1:] == []
    assert mib < MAX_MIB
