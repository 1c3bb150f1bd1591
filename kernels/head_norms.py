from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class HeadNorms:
    """Root mean square norms of the queries and keys of each head. query, key: weights [D]."""

    query: Tensor
    key: Tensor
    epsilon: float
