"""Writes the model folder: rounded weights, configuration, tokenizer, in the form transformers 4 and 5 both read."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from tools.demo_model.tokenizer import save_tokenizer

ROPE_THETA = 1_000_000.0


def save(model: Any, tokenizer: Tokenizer, out: Path) -> None:
    """Saves a copy rounded to bfloat16; the model itself stays as it is, training may go on."""
    rounded = type(model)(model.config)
    rounded.load_state_dict(model.state_dict())
    rounded.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    save_tokenizer(tokenizer, out)
    tidy(out)


def tidy(out: Path) -> None:
    """Transformers 5 alone writes names that 4 does not know, and copies of defaults that say nothing."""
    path = out / "config.json"
    config = json.loads(path.read_text())
    config |= {"rope_theta": ROPE_THETA, "torch_dtype": config.get("dtype", "bfloat16")}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    generation = {"eos_token_id": config["eos_token_id"], "pad_token_id": config["pad_token_id"]}
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
