"""Arithmetic on vectors of float32."""

import math
import operator
from array import array
from collections.abc import Sequence

from xylem.shared.protocol.columns import pack_floats, unpack_floats


def shortened(column: bytes, dimensions: int) -> bytes:
    """The first numbers of a vector, of length 1 again (Euclid): for models that put what matters most first."""
    head = unpack_floats(column)[:dimensions]
    length = math.hypot(*head)
    return pack_floats(value / length for value in head) if length else pack_floats(head)


def similarity(one: "array[float]", other: "array[float]") -> float:
    """The cosine of the angle between two vectors of length 1: from -1 to 1, whatever float32 has made of them."""
    dot: float = sum(map(operator.mul, one, other))
    return max(-1.0, min(1.0, dot))


def softmax(logprobs: Sequence[float]) -> list[float]:
    """Probabilities of these alone. Those of which none can be at all are equal."""
    highest = max(logprobs)
    if highest == -math.inf:
        return [1.0 / len(logprobs)] * len(logprobs)
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    total = sum(weights)
    return [weight / total for weight in weights]
