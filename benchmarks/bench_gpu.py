"""What a GPU makes of it, in one command of a few minutes.

    python -m benchmarks.bench_gpu --json result.json
    python -m benchmarks.bench_gpu --tiny --device cpu          as a test does it, to see that it runs

Parts: ceilings (what the machine can do), kernels (each against float64, and its share of a ceiling), folder (random
weights for what follows), engine (decoding at several batch sizes against the time that memory needs at least, and
loads of whole requests, in process), served (the same load through HTTP and NATS), peer (transformers). Each runs in a
process of its own, so that it finds the memory free and a fault of one is none of the others; what can't be done here
is left out, with the reason. What there is lies in --json after each part.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import ceilings
from benchmarks.gpu.scale import SMALL, WHOLE

# Seconds that a part may take, together less than ten minutes.
PARTS = {"ceilings": 40, "kernels": 90, "folder": 60, "engine": 150, "served": 130, "peer": 80}
ERROR_CHARACTERS = 4000  # of what a part has said before it failed


def measured(part: str, arguments: argparse.Namespace, so_far: dict[str, Any], note: Callable[[Any], None]) -> Any:
    """A part, in this process. note(what there is of it so far). Each part imports what it needs: not all is there."""
    scale, device = SMALL if arguments.tiny else WHOLE, torch.device(arguments.device)
    if part == "ceilings":
        return ceilings.measure(ceilings.ceilings(scale, device))
    most = ceilings.Ceilings(**so_far["ceilings"]["raw"])
    if part == "kernels":
        from benchmarks.gpu import kernels

        return kernels.measure(scale, device, most, arguments.kernels, note)
    from benchmarks.gpu.folder import model_folder

    began_s = time.monotonic()
    folder = model_folder(scale, device, arguments.folder)
    if part == "folder":
        return {"path": str(folder), "s": round(time.monotonic() - began_s, 1)}
    if part == "engine":
        from benchmarks.gpu import engine

        return engine.measure(scale, device, most, folder, note)
    if part == "served":
        from benchmarks.gpu import served

        return served.measure(scale, device, folder)
    from benchmarks.gpu import peer

    return peer.measure(scale, device, folder)


def in_process_of_its_own(part: str, arguments: argparse.Namespace, so_far: dict[str, Any]) -> Any:
    """A part, or why it is left out."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.json", Path(folder) / "after.json"
        before.write_text(json.dumps(so_far))
        command = [
            sys.executable, "-m", "benchmarks.bench_gpu", "--part", part, "--before", before, "--json", after,
            "--device", arguments.device, "--kernels", arguments.kernels, "--folder", arguments.folder,
            *(["--tiny"] if arguments.tiny else []),
        ]  # fmt: skip
        # A session of its own: what it has started ends with it.
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
            try:
                _, errors = child.communicate(timeout=PARTS[part])
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGTERM)
                return {"left_out": f"it took more than {PARTS[part]} s", **_so_far(after)}
        if child.returncode:
            said = errors.strip()[-ERROR_CHARACTERS:]
            return {"left_out": said.rpartition("\n")[2] or f"exit {child.returncode}", "said": said, **_so_far(after)}
        return json.loads(after.read_text())


def _so_far(after: Path) -> dict[str, Any]:
    """What a part had found before it failed."""
    return {"so_far": json.loads(after.read_text())} if after.exists() else {}


def _write(path: Path, result: Any) -> None:
    """At once: whoever is killed leaves what there was before."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(result, indent=1))
    beside.replace(path)


def whole(arguments: argparse.Namespace, note: Callable[[Any], None]) -> dict[str, Any]:
    device = torch.device(arguments.device)
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "torch": torch.__version__,
    }
    for part in arguments.parts.split(","):
        began_s = time.monotonic()
        try:
            result[part] = (
                measured(part, arguments, result, lambda _: None)
                if arguments.tiny
                else in_process_of_its_own(part, arguments, result)
            )
        except Exception as error:
            traceback.print_exc()
            result[part] = {"left_out": f"{type(error).__name__}: {error}"}
        print(f"{part}, {time.monotonic() - began_s:.0f} s: {json.dumps(result[part], indent=1)}", flush=True)
        note(result)
    if "tokens_per_s" in result.get("served", {}) and "fixed" in result.get("engine", {}):
        inside = result["engine"]["fixed"]["tokens_per_s"]
        result["through_the_bus"] = round(result["served"]["tokens_per_s"] / inside, 3)
    return result


def main(given: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "xylem-bench")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--before", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)

    def note(result: Any) -> None:
        if arguments.json:
            _write(arguments.json, result)

    if arguments.part:
        note(measured(arguments.part, arguments, json.loads(arguments.before.read_text()), note))
    else:
        note(whole(arguments, note))


if __name__ == "__main__":
    main()
