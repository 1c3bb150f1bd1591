"""Model folders to measure with: real shapes, random weights, and a tokenizer with a vocabulary as large."""

import json
import random
import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, Qwen2Config

from benchmarks.datasets.words import WORDS

QWEN_05B = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rope_theta": 1_000_000.0,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}


def qwen_05b(folder: Path) -> Path:
    """A Qwen2.5-0.5B-shaped model in bfloat16 (about 1 GB), made once in `folder`."""
    path = folder / "qwen2.5-0.5b-shape"
    if not (path / "tokenizer.json").exists():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(Qwen2Config(**QWEN_05B), dtype=torch.bfloat16)
        model.save_pretrained(path)
        write_tokenizer(path, int(QWEN_05B["vocab_size"]))
    return path


def write_tokenizer(path: Path, vocab_size: int) -> None:
    """A byte-level tokenizer: bytes, then the words of the data sets, then made-up ones of two to eight letters.

    A word with the space in front of it is one token, so a prompt of n words has about n, and the text of an answer,
    sent back in the next turn, becomes the tokens that it was made of: else no cache would know it again.
    """
    draw = random.Random(0)
    vocab = {symbol: i for i, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for word in (*WORDS, "system", "user", "assistant", ":"):
        vocab.setdefault(f"Ġ{word}", len(vocab))
    while len(vocab) < vocab_size:
        vocab.setdefault("Ġ" + "".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 8))), len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
