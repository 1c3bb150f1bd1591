"""What this project uses of FlashInfer 0.6, told what it is asked for, and computed from the plan in plain torch.

Parameters have the names and order of the package's own; see flashinfer/decode.py and flashinfer/prefill.py there.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Plan:
    """Pages of row i: indices[page_ends[i] : page_ends[i + 1]]; its queries: [query_ends[i], query_ends[i + 1])."""

    query_ends: Tensor
    page_ends: Tensor
    indices: Tensor
    last_page_len: Tensor
    num_qo_heads: int
    num_kv_heads: int
    head_dim: int
    page_size: int
    window_left: int
    sm_scale: float
    q_data_type: torch.dtype
    kv_data_type: torch.dtype

    def __post_init__(self) -> None:
        for column in (self.query_ends, self.page_ends, self.indices, self.last_page_len):
            assert column.dtype is torch.int32
            assert column.device.type == "cpu", "a plan is made on the host, which would wait for the device"
        num_rows = len(self.last_page_len)
        assert len(self.query_ends) == len(self.page_ends) == num_rows + 1
        assert self.page_ends[-1] == len(self.indices)
        assert ((self.last_page_len >= 1) & (self.last_page_len <= self.page_size)).all()

    def attend(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Causal; a key at least window_left before its query is seen, if window_left is not negative."""
        assert q.dtype is self.q_data_type
        assert keys.dtype is values.dtype is self.kv_data_type
        assert q.shape[1:] == (self.num_qo_heads, self.head_dim)
        assert keys.shape[1:] == values.shape[1:] == (self.page_size, self.num_kv_heads, self.head_dim)
        output = torch.full_like(q, float("nan"))
        for row, last in enumerate(self.last_page_len.tolist()):
            pages = self.indices[self.page_ends[row] : self.page_ends[row + 1]].long()
            length = (len(pages) - 1) * self.page_size + last
            first, end = self.query_ends[row : row + 2].tolist()
            group = self.num_qo_heads // self.num_kv_heads
            key, value = (pool[pages].flatten(0, 1)[:length].repeat_interleave(group, 1) for pool in (keys, values))
            distance = torch.arange(length - (end - first), length)[:, None] - torch.arange(length)[None, :]
            visible = distance >= 0
            if self.window_left >= 0:
                visible &= distance <= self.window_left
            scores = torch.einsum("qhd,khd->hqk", q[first:end].double(), key.double()) * self.sm_scale
            shares = scores.masked_fill(~visible, float("-inf")).softmax(-1)
            output[first:end] = torch.einsum("hqk,khd->qhd", shares, value.double()).to(q.dtype)
        return output


@dataclass
class Wrapper:
    """Either of the two: workspace as it was made with, plans in order."""

    float_workspace_buffer: Tensor
    kv_layout: str = "NHD"
    use_tensor_cores: bool = False
    backend: str = "auto"
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.kv_layout == "NHD"
        assert self.float_workspace_buffer.dtype is torch.uint8
        assert self.float_workspace_buffer.count_nonzero() == 0

    def run(self, q: Tensor, paged_kv_cache: tuple[Tensor, Tensor]) -> Tensor:
        return self.plans[-1].attend(q, *paged_kv_cache)


class Decode(Wrapper):
    def plan(
        self, indptr: Tensor, indices: Tensor, last_page_len: Tensor, num_qo_heads: int, num_kv_heads: int,
        head_dim: int, page_size: int, *, window_left: int, q_data_type: Any, kv_data_type: Any, sm_scale: float,
    ) -> None:  # fmt: skip
        query_ends = torch.arange(len(indptr), dtype=torch.int32)
        sizes = (num_qo_heads, num_kv_heads, head_dim, page_size, window_left, sm_scale, q_data_type, kv_data_type)
        self.plans.append(Plan(query_ends, indptr, indices, last_page_len, *sizes))


class Prefill(Wrapper):
    def plan(
        self, qo_indptr: Tensor, paged_kv_indptr: Tensor, paged_kv_indices: Tensor, paged_kv_last_page_len: Tensor,
        num_qo_heads: int, num_kv_heads: int, head_dim_qk: int, page_size: int, *, causal: bool, sm_scale: float,
        window_left: int, q_data_type: Any, kv_data_type: Any,
    ) -> None:  # fmt: skip
        assert causal
        sizes = (num_qo_heads, num_kv_heads, head_dim_qk, page_size, window_left, sm_scale, q_data_type, kv_data_type)
        self.plans.append(Plan(qo_indptr, paged_kv_indptr, paged_kv_indices, paged_kv_last_page_len, *sizes))
