"""The fixed load through HTTP, NATS and all six services: `xylem serve` beside its own NATS server."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.engine import settings_of
from benchmarks.gpu.scale import Scale
from benchmarks.load import Load, run
from benchmarks.readiness import wait_until_ready
from benchmarks.shapes import write_tokenizer
from shared.ports import free_port

READY_S = 240


def measure(scale: Scale, device: torch.device, folder: Path) -> dict[str, Any]:
    if not (folder / "tokenizer.json").exists():
        write_tokenizer(folder, scale.shape["vocab_size"])
    settings = settings_of(scale, device, folder)
    port = free_port()
    flags = {
        "model": folder, "served-name": "bench", "port": port, "device": device, "dtype": settings.dtype,
        "token-budget": scale.token_budget, "max-running": scale.max_running, "kv-bytes": settings.kv_bytes,
    }  # fmt: skip
    command = [sys.executable, "-m", "xylem", "serve", *(f"--{name}={value}" for name, value in flags.items())]
    load = Load(scale.streams, scale.num_prompt, scale.num_output, max_token_id=scale.shape["vocab_size"])
    with tempfile.TemporaryFile() as log:
        system = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until_ready(port, timeout_s=READY_S)
            # The first one warms up: services have connections to open.
            _, outcome = [
                asyncio.run(run(load, host="127.0.0.1", port=port, model="bench", seed=seed)) for seed in range(2)
            ]
        finally:
            system.terminate()
            system.wait(timeout=60)
    return {"tokens_per_s": round(outcome.tokens_per_s, 1), "first_token_s": round(outcome.first_token_s, 4)}
