"""Trains the demonstration model from nothing: `python -m tools.demo_model.train [--out DIR]`."""

import argparse
import ctypes
import hashlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from tools.demo_model.batches import IGNORED, batches
from tools.demo_model.circuit import set_induction_circuit
from tools.demo_model.corpus import EARLY_DOCUMENTS, documents
from tools.demo_model.store import ROPE_THETA, save
from tools.demo_model.tokenizer import END, PAD, train_tokenizer
from xylem.demo_model import MODEL_PATH

SHAPE: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}


@dataclass(frozen=True)
class Plan:
    """The rate rises for 100 steps, is level until `fall`, and falls in a straight line to 0 at the last step."""

    steps: int = 4200
    fall: int = 1800
    rate: float = 5e-3
    batch_tokens: int = 2048
    seed: int = 7
    sample: int = 12000
    early: int = EARLY_DOCUMENTS


def quiet_allocator() -> None:
    """Keeps freed memory in the process: giving each big tensor back to the kernel costs a fifth of the time."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-4, 0)  # M_MMAP_MAX: take every block from the heap
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: and do not shrink it


def repeatable(seed: int) -> None:
    torch.set_num_threads(1)  # at this size two are hardly faster, and another count gives other last bits
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid
    torch.manual_seed(seed)


def build(tokenizer: Tokenizer, shape: dict[str, Any], seed: int) -> Any:
    config = LlamaConfig(
        **shape,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        attention_bias=True,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    model = LlamaForCausalLM(config)
    set_induction_circuit(model, seed)
    return model


def rate_at(step: int, plan: Plan) -> float:
    return plan.rate * min(1.0, (step + 1) / 100, (plan.steps - step) / (plan.steps - plan.fall))


def optimizers(model: Any) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, which gets more out of each token; AdamW for the embedding and the norms."""
    matrices = [weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name]
    rest = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=1.0, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def fit(model: Any, tokenizer: Tokenizer, plan: Plan, checkpoint: Path | None = None) -> None:
    steppers = optimizers(model)
    rng = Random(plan.seed)
    source = batches(tokenizer, documents(rng, plan.early), rng, plan.batch_tokens, model.config.pad_token_id)
    began, seen, running = time.monotonic(), 0, math.nan
    for step in range(plan.steps):
        inputs, labels = next(source)
        hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
        learned = labels != IGNORED
        loss = cross_entropy(model.lm_head(hidden[learned]), labels[learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in steppers:
            for group in stepper.param_groups:
                group["lr"] = rate_at(step, plan)
            stepper.step()
            stepper.zero_grad()
        seen += inputs.numel()
        running = loss.item() if math.isnan(running) else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 49 or step + 1 == plan.steps:
            spent = time.monotonic() - began
            print(f"step {step + 1} loss {running:.4f} tokens {seen} {seen / spent:.0f}/s {spent:.0f}s", flush=True)
        if checkpoint is not None and step % 100 == 99:
            save(model, tokenizer, checkpoint)


def digest(model: Any) -> str:
    """One hash of every weight, to compare runs by."""
    total = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(weight.detach().float().contiguous().numpy().tobytes())
    return total.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=MODEL_PATH)
    options = parser.parse_args()
    plan = Plan()
    quiet_allocator()
    repeatable(plan.seed)
    tokenizer = train_tokenizer(plan.seed, plan.sample)
    began = time.monotonic()
    model = build(tokenizer, SHAPE, plan.seed)
    fit(model, tokenizer, plan, options.out)
    save(model, tokenizer, options.out)
    weights = hashlib.sha256((options.out / "model.safetensors").read_bytes()).hexdigest()
    parameters = sum(weight.numel() for weight in model.parameters())
    print(json.dumps({"parameters": parameters, "seconds": round(time.monotonic() - began), "sha256": weights}))


if __name__ == "__main__":
    main()
