"""This module checks what must be true of the running sequences at any time."""

from collections import Counter
from collections.abc import Collection

from xylem.services.executor.engine.sequence_state import SequenceState


def find_faults(sequences: Collection[SequenceState], *, page_size: int) -> list[str]:
    """Returns what is wrong, in words; nothing when all is well.

    Granted pages cover what was computed, and a page that is still written has one owner. Several tables may hold a
    page where all of them have filled it: what lies below a sequence's length is never written again.
    """
    found: list[str] = []
    holders = Counter(page for sequence in sequences for page in set(sequence.pages))
    for sequence in sequences:
        name = f"sequence {sequence.sequence_id}"
        if sequence.num_granted_tokens(page_size) < 0:
            found.append(f"{name} has {sequence.length} tokens in {len(sequence.pages)} pages")
        if not _length_fits(sequence):
            found.append(f"{name} has length {sequence.length}, which does not follow from its tokens")
        if len(set(sequence.pages)) != len(sequence.pages):
            found.append(f"{name} has a page twice in its table")
        written = sequence.pages[sequence.length // page_size :]
        found.extend(f"{name} writes page {page}, which others hold" for page in written if holders[page] > 1)
    return found


def _length_fits(sequence: SequenceState) -> bool:
    if sequence.num_new == 0:
        return sequence.num_cached <= sequence.length < sequence.prompt_len
    return sequence.length == sequence.prompt_len + sequence.num_new - len(sequence.pending)
