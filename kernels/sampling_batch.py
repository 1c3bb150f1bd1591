"""Sampling parameters of a batch lie in device memory: made when the batch changes, read by every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Draw(Protocol):
    """Samples a row so: temperature 0 is greedy; top_k 0 keeps all; seed and the row's position fix the number."""

    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def min_p(self) -> float: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SamplingBatch:
    """The fields of B draws. temperature, top_p, min_p: [B] float64; top_k, seed: [B] int64."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    min_p: Tensor
    seed: Tensor

    @classmethod
    def build(cls, draws: Sequence[Draw], device: torch.device) -> "SamplingBatch":
        """The host does not wait for the copies."""
        return cls(
            temperature=_column([draw.temperature for draw in draws], torch.float64, device),
            top_p=_column([draw.top_p for draw in draws], torch.float64, device),
            top_k=_column([draw.top_k for draw in draws], torch.int64, device),
            min_p=_column([draw.min_p for draw in draws], torch.float64, device),
            seed=_column([draw.seed for draw in draws], torch.int64, device),
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.temperature, self.top_p, self.top_k, self.min_p, self.seed

    def take(self, rows: Tensor) -> "SamplingBatch":
        """Returns the parameters of some rows [N] int64 in columns of their own."""
        return SamplingBatch(*(column[rows] for column in self.tensors))

    def put(self, rows: Tensor, draws: "SamplingBatch") -> None:
        """Makes draws [N] those of the rows [N] int64."""
        for column, values in zip(self.tensors, draws.tensors, strict=True):
            column.index_copy_(0, rows, values)


def _column(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    pinned = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return pinned.to(device, non_blocking=True)
