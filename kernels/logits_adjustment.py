"""This module describes what is done to the logits of one row before a token is sampled."""

from dataclasses import dataclass, field, replace

import numpy as np


def _no_ids() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


def _no_values() -> np.ndarray:
    return np.empty(0, dtype=np.float32)


@dataclass(slots=True)
class LogitsAdjustment:
    """Changes to single logits of a row, in this order; a grammar's mask comes between the last two.

    repetition: positive logits of seen_ids are divided by it, the others multiplied (Keskar et al. 2019). seen_ids:
    tokens of prompt and output. frequency, presence: as in the OpenAI API, the logit of each of output_ids falls by
    its output_counts times frequency, and by presence once. bias_values are added to the logits of bias_ids.
    forbidden_ids get minus infinity.

    Ids are int64 and distinct within a column; those outside the vocabulary do nothing. Values and counts are float32.
    The columns are only read, and only during the call, so that they may be views of what grows afterwards.
    """

    repetition: float = 1.0
    seen_ids: np.ndarray = field(default_factory=_no_ids)
    frequency: float = 0.0
    presence: float = 0.0
    output_ids: np.ndarray = field(default_factory=_no_ids)
    output_counts: np.ndarray = field(default_factory=_no_values)
    bias_ids: np.ndarray = field(default_factory=_no_ids)
    bias_values: np.ndarray = field(default_factory=_no_values)
    forbidden_ids: np.ndarray = field(default_factory=_no_ids)

    def within(self, vocab_size: int) -> "LogitsAdjustment":
        """Returns the adjustment without ids outside [0, vocab_size): a kernel would write them into other rows.

        Requests with such ids are refused long before; this is the last line, so that no mistake costs a neighbour.
        """
        columns = (self.seen_ids, self.output_ids, self.bias_ids, self.forbidden_ids)
        if all(len(ids) == 0 or (ids.min() >= 0 and ids.max() < vocab_size) for ids in columns):
            return self
        seen, output, bias, forbidden = ((ids >= 0) & (ids < vocab_size) for ids in columns)
        return replace(
            self,
            seen_ids=self.seen_ids[seen],
            output_ids=self.output_ids[output],
            output_counts=self.output_counts[output],
            bias_ids=self.bias_ids[bias],
            bias_values=self.bias_values[bias],
            forbidden_ids=self.forbidden_ids[forbidden],
        )
