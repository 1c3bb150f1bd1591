"""Small tokenizers of every kind that matters, and model folders around them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "héllo wörld, naïve café — 你好 🙂 👩‍👩‍👧 ᚠᛇᚻ",
    "def f(x):\n    return {'a': [1, 2, 3]}\n\n",
    "the theory of the thing: there, then, these.  Two  spaces.",
    "<user> is no tag. 1234567890 !?#$%&*",
]
SPECIAL = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"]


@cache
def byte_level() -> Tokenizer:
    """As GPT-2 and its successors: 256 bytes, some merges; an added token that is not special."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    made.add_tokens([AddedToken("<tool> é", special=False, normalized=False)])
    return made


def byte_fallback(*, strip: bool) -> Tokenizer:
    """As Llama 2 (strip: its decoder takes one space off the beginning) and Gemma."""
    characters = sorted({char for line in CORPUS[:1] + CORPUS[2:] for char in line.replace(" ", "▁")} | {"▁"})
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("q", "u"), ("▁", "▁")]
    tokens = ["<unk>", *SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *characters]
    tokens += [left + right for left, right in merges if left + right not in tokens]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    made = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    end = [decoders.Strip(" ", 1, 0)] if strip else []
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *end])
    made.add_special_tokens(["<unk>", *SPECIAL])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])]
    )
    return made


@cache
def metaspace() -> Tokenizer:
    """As T5: Unigram pieces, the first one without its space."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<unk>", *SPECIAL], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


@cache
def word_piece() -> Tokenizer:
    """As BERT: `##` for a continuation, and a decoder that moves punctuation to the word before it."""
    words = ["the", "quick", "fox", "do", "n't", ".", ",", "!", "?", "##s", "##ing", "##é", "jump", "'m", "i"]
    made = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(["<unk>", *SPECIAL, *words])}, unk_token="<unk>")
    )
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(["<unk>", *SPECIAL])
    return made


@cache
def without_decoder() -> Tokenizer:
    """Tokens joined by spaces."""
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<unk>", "a", "bb", "ccc"])}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def write_model(
    folder: Path, tokenizer: Tokenizer, *, context_length: int = 256, vocab_size: int = 0, **config: Any
) -> Path:
    """A model folder without weights. config: tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    model = {
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": vocab_size or tokenizer.get_vocab_size(),
        "max_position_embeddings": context_length,
    }
    (folder / "config.json").write_text(json.dumps(model))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
