"""Documents to batches of token ids. Like lengths go together, so little is padding and no mask is needed."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import torch
from tokenizers import Tokenizer

LONGEST = 1024
POOL = 1500
IGNORED = -100

Batch = tuple[torch.Tensor, torch.Tensor]
Document = list[tuple[str, bool]]  # pieces of text, and whether the model learns to write them


def encode(tokenizer: Tokenizer, pool: list[Document]) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of each document; what the model is not to learn has no label."""
    flat = [piece for document in pool for piece, _ in document]
    encoded = iter(tokenizer.encode_batch_fast(flat, add_special_tokens=False))
    result: list[tuple[list[int], list[int]]] = []
    for document in pool:
        ids: list[int] = []
        labels: list[int] = []
        for _, own in document:
            piece = next(encoded).ids
            ids += piece
            labels += piece if own else [IGNORED] * len(piece)
        result.append((ids[:LONGEST], labels[:LONGEST]))
    return result


def batches(tokenizer: Tokenizer, source: Iterator[Document], rng: Random, size: int, pad: int) -> Iterator[Batch]:
    """Endless batches of at most `size` tokens, padding counted: (inputs, the token that follows each)."""
    while True:
        pool = sorted(encode(tokenizer, list(islice(source, POOL))), key=lambda document: len(document[0]))
        groups: list[list[tuple[list[int], list[int]]]] = [[]]
        for document in pool:
            if len(document[0]) * (len(groups[-1]) + 1) > size and groups[-1]:
                groups.append([])
            groups[-1].append(document)
        rng.shuffle(groups)
        for group in groups:
            longest = max(len(ids) for ids, _ in group)
            # Padding is on the right, where a causal model never looks from a real token.
            inputs = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in group])
            labels = torch.tensor([marks + [IGNORED] * (longest - len(marks)) for _, marks in group])
            yield inputs[:, :-1], labels[:, 1:]
