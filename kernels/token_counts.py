"""Which tokens a sequence has had, and how often: what penalties are made of."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

SMALLEST = 16  # distinct tokens that there is room for at first


class TokenCounts:
    """The distinct tokens of a growing sequence, in order of their first appearance, and their counts.

    The columns are numpy's and not array's: an array refuses to grow while somebody holds a view of it.
    """

    def __init__(self, token_ids: Iterable[int] = ()) -> None:
        counts = Counter(token_ids)
        self._places = {token_id: place for place, token_id in enumerate(counts)}
        room = max(SMALLEST, len(counts))
        self._ids = np.zeros(room, dtype=np.int64)
        self._counts = np.zeros(room, dtype=np.float32)
        self._ids[: len(counts)] = list(counts)
        self._counts[: len(counts)] = list(counts.values())

    def __len__(self) -> int:
        """Distinct tokens."""
        return len(self._places)

    @property
    def ids(self) -> np.ndarray:
        """[distinct] int64; a view, good until the next add."""
        return self._ids[: len(self._places)]

    @property
    def counts(self) -> np.ndarray:
        """[distinct] float32, as `ids`; a view, good until the next add."""
        return self._counts[: len(self._places)]

    def add_token(self, token_id: int) -> None:
        """One more token at the end of the sequence."""
        place = self._places.setdefault(token_id, len(self._places))
        if place == len(self._ids):
            self._ids, self._counts = _doubled(self._ids), _doubled(self._counts)
        self._ids[place] = token_id
        self._counts[place] += 1


def _doubled(column: np.ndarray) -> np.ndarray:
    return np.concatenate([column, np.zeros_like(column)])
