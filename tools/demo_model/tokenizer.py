"""The tokenizer: byte-level BPE without a normalizer, so every text comes back exactly, with digits one by one."""

import json
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tools.demo_model.corpus import documents

VOCAB_SIZE = 2048
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Ordinary text for a reader of the stream, yet one token each: they are kept when special tokens are left out.
MARKERS = ("<tool_call>", "</tool_call>")

TEMPLATE_PATH = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer(seed: int, sample: int = 12000) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # The markers come with the trainer so that their ids, like those of the special tokens, open the vocabulary.
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[PAD, START, END, *MARKERS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    markers = (PAD, START, END, *MARKERS)

    def text(pieces: list[tuple[str, bool]]) -> str:
        joined = "".join(piece for piece, _ in pieces)
        for marker in markers:
            joined = joined.replace(marker, "\n")
        return joined

    tokenizer.train_from_iterator((text(each) for each in islice(documents(Random(seed), early=0), sample)), trainer)
    tokenizer.add_tokens([AddedToken(marker, special=False, normalized=False) for marker in MARKERS])
    return tokenizer


def wrap(tokenizer: Tokenizer) -> Any:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START, END],
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE_PATH.read_text(),
    )


def save_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """In the form transformers 4 and 5 both read: 5 alone writes names that 4 does not know."""
    wrap(tokenizer).save_pretrained(out)
    path = out / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config.pop("backend", None)
    config.pop("extra_special_tokens", None)
    special = {"eos_token": END, "pad_token": PAD, "additional_special_tokens": [START, END]}
    config |= special | {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "unk_token": None}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (out / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
