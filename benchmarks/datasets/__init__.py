"""Seeded generators of requests, each a file and a row of the table; nothing is downloaded.

Comes in: options, such as lengths, and a seed. Goes out: sessions by their number. Lengths of prompts are in words
(words.py), those of answers in tokens.
"""

from benchmarks.datasets.json_extraction import JsonExtraction
from benchmarks.datasets.mixed_lengths import MixedLengths
from benchmarks.datasets.multi_turn import MultiTurn
from benchmarks.datasets.random_words import RandomWords
from benchmarks.datasets.session import Ask, Dataset, Message, Session
from benchmarks.datasets.shared_prefix import SharedPrefix
from benchmarks.datasets.tree_of_thought import TreeOfThought

DATASETS: dict[str, type[Dataset]] = {
    "random": RandomWords,
    "mixed": MixedLengths,
    "shared-prefix": SharedPrefix,
    "multi-turn": MultiTurn,
    "tree-of-thought": TreeOfThought,
    "json": JsonExtraction,
}

__all__ = ["DATASETS", "Ask", "Dataset", "Message", "Session"]
