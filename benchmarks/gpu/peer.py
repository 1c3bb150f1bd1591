"""transformers on the same weights: a static cache, and its forward pass compiled into CUDA graphs."""

import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.scale import Scale

NUM_FIRST = 4


def measure(scale: Scale, device: torch.device, folder: Path) -> dict[str, Any]:
    """Time of a decoding step: the difference between long and short answers to the same prompts."""
    import transformers  # where it is not installed, this part is left out

    torch.set_float32_matmul_precision("high")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, scale.dtype)).to(device)
    if device.type == "cuda":
        model.forward = torch.compile(model.forward, mode="reduce-overhead", fullgraph=True)
    rows = [_decode(model, size, scale, device) for size in scale.batches[:2]]
    return {"version": transformers.__version__, "decoding": rows}


def _decode(model: Any, size: int, scale: Scale, device: torch.device) -> dict[str, Any]:
    ids = torch.randint(3, scale.shape["vocab_size"], (size, scale.context), device=device)
    took_s = []
    for num_new in (NUM_FIRST, NUM_FIRST, NUM_FIRST + scale.decode_steps):  # the first one compiles
        began_s = time.perf_counter()
        tokens = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=num_new, max_new_tokens=num_new,
            cache_implementation="static", pad_token_id=0, eos_token_id=None,
        )  # fmt: skip
        assert tokens.shape[1] == scale.context + num_new
        int(tokens[0, -1])  # waits for the device
        took_s.append(time.perf_counter() - began_s)
    step_s = (took_s[2] - took_s[1]) / scale.decode_steps
    return {"batch": size, "context": scale.context, "ms": round(step_s * 1e3, 3)}
