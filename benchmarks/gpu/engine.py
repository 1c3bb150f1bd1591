"""The executor in process: steps of decoding against what memory allows, and loads of whole requests."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.ceilings import Ceilings
from benchmarks.gpu.offline import Feeder, mixed_lengths, prompt
from benchmarks.gpu.scale import Scale
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.kv_cache.page_budget import page_bytes
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.model_runner.factory import make_model_runner
from xylem.services.executor.weights.decoder_map import parameter_shapes
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.runtime.settings import ExecutorSettings

WARM_STEPS = 8


def settings_of(scale: Scale, device: torch.device, folder: Path) -> ExecutorSettings:
    return ExecutorSettings(
        model=str(folder), device=str(device), dtype="float32" if scale.dtype == "float32" else "bfloat16",
        token_budget=scale.token_budget, max_running=scale.max_running, kv_bytes=scale.kv_bytes,
    )  # fmt: skip


def measure(
    scale: Scale, device: torch.device, most: Ceilings, folder: Path, note: Callable[[Any], None]
) -> dict[str, Any]:
    """note(what there is so far)."""
    settings = settings_of(scale, device, folder)
    card = ModelCard.load(folder)
    began_s = time.perf_counter()
    runner = make_model_runner(card, settings, lambda show: show)
    ready_s = time.perf_counter() - began_s
    engine = Engine(
        runner,
        max_running=settings.max_running,
        token_budget=settings.token_budget,
        eos_token_ids=(),
        context_length=card.context_length,
        epoch=1,
    )
    feeder, vocab_size = Feeder(engine), card.vocab_size
    config, dtype = decoder_config(card), getattr(torch, scale.dtype)
    fixed = [(prompt(random.Random(i), scale.num_prompt, vocab_size), scale.num_output) for i in range(scale.streams)]
    feeder.run(fixed[:2])  # warms up
    found: dict[str, Any] = {"ready_s": round(ready_s, 1), "num_pages": runner.num_pages, "decoding": []}
    for size in scale.batches:
        found["decoding"].append(_decode(feeder, size, scale, config, dtype, most))
        note(found)
    loads = {"mixed": mixed_lengths(scale.num_requests, longest=scale.longest, vocab_size=vocab_size), "fixed": fixed}
    for name, requests in loads.items():
        rate = feeder.run(requests)
        found[name] = {"tokens_per_s": round(rate.tokens_per_s, 1), "steps": rate.steps}
        note(found)
    return found


def _decode(
    feeder: Feeder, size: int, scale: Scale, config: DecoderConfig, dtype: torch.dtype, most: Ceilings
) -> dict[str, Any]:
    """Steps of `size` sequences after a context that nobody has read: what it holds makes no step longer."""
    row: dict[str, Any] = {"batch": size, "context": scale.context}
    needed = size * (scale.context + WARM_STEPS + scale.decode_steps + 1)
    if needed > feeder.engine.runner.num_pages * feeder.engine.runner.page_size:
        return {**row, "left_out": "the KV pool is too small"}
    tables: dict[int, list[int]] = {}
    num_output = WARM_STEPS + scale.decode_steps + 1
    feeder.apply([feeder.admit([5], num_output, tables, num_cached=scale.context - 1) for _ in range(size)])
    for _ in range(WARM_STEPS):
        feeder.engine.step()
    began_s = time.perf_counter()
    for _ in range(scale.decode_steps):
        feeder.engine.step()
    took_s = (time.perf_counter() - began_s) / scale.decode_steps
    feeder.apply([], drops=tables)
    feeder.give_back(tables)
    each = page_bytes(config, page_size=1, dtype=dtype)
    num_bytes = weight_bytes(config, dtype) + size * (scale.context + num_output / 2) * each
    floor_s = num_bytes / most.bytes_per_s
    return {
        **row, "ms": round(took_s * 1e3, 3), "floor_ms": round(floor_s * 1e3, 3), "share": round(floor_s / took_s, 3),
        "tokens_per_s": round(size / took_s, 1),
    }  # fmt: skip


def weight_bytes(config: DecoderConfig, dtype: torch.dtype) -> int:
    """What a step reads of the weights: all of them but the embeddings, of which it looks up a few."""
    sizes = {name: torch.Size(shape).numel() for name, shape in parameter_shapes(config).items()}
    looked_up = 0 if config.tied_embeddings else sizes["embedding"]
    return (sum(sizes.values()) - looked_up) * dtype.itemsize
