"""The numbers by which the detokenizer decides."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DetokenizerPolicy:
    """Policy of one detokenizer, made once by its service and handed to everything in it."""

    max_message_rows: int = 1024  # some 100 KiB, well within what NATS carries
    stop_search_timeout_s: float = 0.05  # for one search: a stop pattern that takes longer is hostile

    # A sequence that was silent for idle_s is lost: the message of its end never came. They are looked for once in
    # num_starts_per_sweep sequence starts.
    idle_s: float = 900.0
    num_starts_per_sweep: int = 1024

    # Texts of resumable requests: the oldest text beyond max_resumable_chars is dropped; a text that does not run here
    # any more is dropped after ended_text_s seconds, or beyond max_ended_texts of them.
    max_resumable_chars: int = 1 << 16
    ended_text_s: float = 60.0
    max_ended_texts: int = 1024
