from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttentionKind:
    """Describes how a layer attends: softmax(scale x Q K^T) V.

    window: keys that a token sees, itself included, or None for all. cap: a scaled score s becomes cap x tanh(s / cap)
    (Gemma 2, 2024), unless it is None.
    """

    scale: float
    window: int | None = None
    cap: float | None = None
