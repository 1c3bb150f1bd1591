"""The processes of `xylem serve`: what they have loaded, and how much memory they take."""

from pathlib import Path

import pytest

from tests.serving import Served
from tests.system.asking import one_by_one

LIGHT = ("gateway", "tokenizer", "router", "scheduler", "detokenizer")
MAX_MIB = 150  # they take 40 to 90 when they serve; torch alone would add 200


async def test_light_services_have_no_torch_while_they_serve(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    await one_by_one(served.url, ["Hello", "What is 3 plus 3?"])
    for name, pid in served.state["pids"].items():
        kind = name.rpartition("-")[0]
        if kind == "nats":
            continue
        process = Path(f"/proc/{pid}")
        memory = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        mib = int(memory["VmRSS"].split()[0]) / 1024
        with capsys.disabled():
            print(f"\n{name}: {mib:.0f} MiB while it serves")
        has_torch = "libtorch" in (process / "maps").read_text()
        assert has_torch == (kind not in LIGHT)
        if kind in LIGHT:
            assert mib < MAX_MIB
