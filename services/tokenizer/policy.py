"""The numbers by which the tokenizer decides."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenizerPolicy:
    """Policy of one tokenizer, built once from its settings."""

    num_threads: int = 2  # that encode long prompts
    # Up to here encoding takes about a millisecond, little more than a way through the thread pool.
    max_inline_chars: int = 2048
    max_concurrent_questions: int = 256
