"""Memory is limited with /proc and without it, as on macOS."""

import subprocess
import sys
from pathlib import Path

import pytest

from xylem.services.executor.structured_output.memory_limit import STATM, TOO_MUCH

CODE = """
import sys, time
from pathlib import Path
from xylem.services.executor.structured_output.memory_limit import MemoryLimit
limit = MemoryLimit(50 << 20, Path(sys.argv[1]))
limit.begin()
with limit.lifted():
    loaded = b"x" * (200 << 20)  # written to: what is only reserved is not resident
small = b"x" * (10 << 20)
print("small", flush=True)
try:
    large = b"x" * (200 << 20)
    time.sleep(30)
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize(
    ("statm", "status", "said"), [(STATM, 0, "small refused"), (Path("/nowhere"), TOO_MUCH, "small")]
)  # fmt: skip
def test_growth_is_limited(statm: Path, status: int, said: str) -> None:
    if statm == STATM and not STATM.exists():
        pytest.skip("this system has no /proc")
    # By way of a shell: a process begins with the peak of whoever started it (ru_maxrss), and pytest has become large.
    command = ["sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", CODE, str(statm)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.split()) == (status, said.split())
