"""The few highest of many logits, found while looking at each of them once."""

import numpy as np

FOLDS = 64  # logits of a column; a vocabulary of 150,000 has 2,300 columns, whose heights stay in the first cache


class Peaks:
    """A row of logits [V], folded into columns: column c holds the ids c, c + width, c + 2 width, ...

        row      [ fold 0 | fold 1 | ... | fold 63 | rest ]
        heights  [ highest of each column ][ rest ]

    What a column's height does not reach none of its logits reaches, so that the others need not be looked at again.
    """

    def __init__(self, row: np.ndarray) -> None:
        self._row = row
        self._width = len(row) // FOLDS
        self._folds = row[: FOLDS * self._width].reshape(FOLDS, self._width)
        self._heights = np.concatenate([self._folds.max(axis=0), row[FOLDS * self._width :]])
        self.highest: np.float32 = self._heights.max()

    def reached_by(self, count: int) -> float:
        """A bound that at least `count` logits reach, or all of them, and not many more."""
        if count > len(self._heights):
            return -np.inf
        return float(np.partition(self._heights, -count)[-count])

    def at_least(self, bound: float) -> np.ndarray:
        """Ids of the logits that reach a bound, ascending."""
        columns = np.flatnonzero(self._heights[: self._width] >= bound)
        if len(columns) > self._width // 4:  # picking out columns costs more than going through all
            return np.flatnonzero(self._row >= bound)
        folds, places = (self._folds[:, columns] >= bound).nonzero()
        rest = np.flatnonzero(self._heights[self._width :] >= bound)
        return np.concatenate([folds * self._width + columns[places], rest + FOLDS * self._width])
