"""The fixed load through HTTP, NATS and all six services: `xylem serve` beside its own NATS server."""

import asyncio
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.engine import settings_of
from benchmarks.gpu.scale import Scale
from benchmarks.load import Load, run
from benchmarks.shapes import write_tokenizer
from benchmarks.systems import whole_system


def measure(scale: Scale, device: torch.device, folder: Path) -> dict[str, Any]:
    if not (folder / "tokenizer.json").exists():
        write_tokenizer(folder, scale.shape["vocab_size"])
    settings = settings_of(scale, device, folder)
    flags = {
        "device": device, "token-budget": scale.token_budget, "max-running": scale.max_running,
        "kv-bytes": settings.kv_bytes,
    }  # fmt: skip
    load = Load(scale.streams, scale.num_prompt, scale.num_output, max_token_id=scale.shape["vocab_size"])
    with whole_system(str(folder), settings.dtype, [f"--{name}={value}" for name, value in flags.items()]) as target:
        # The first one warms up: services have connections to open.
        _, outcome = [asyncio.run(run(load, target, seed=seed)) for seed in range(2)]
    return {"tokens_per_s": round(outcome.tokens_per_s, 1), "first_token_s": round(outcome.first_token_s, 4)}
