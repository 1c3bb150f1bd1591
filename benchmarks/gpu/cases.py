"""The operations of a decoder at the shapes that a model has: what each moves and computes, and what is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.gpu.scale import Scale
from xylem.kernels.interface import AttentionKind, BatchMetadata, DeviceBatch, Ops, SamplingBatch

PAGE_SIZE = 16


@dataclass(frozen=True)
class Nucleus:
    """A draw that keeps some of the tokens; what a request's Sampling is, without the package of its messages."""

    seed: int
    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 50
    min_p: float = 0.0


@dataclass(frozen=True)
class Case:
    """run(ops, wide) does the operation; with wide, on the same values in float64. num_bytes, num_flops: the least."""

    name: str
    shape: str
    run: Callable[[Ops, bool], Tensor]
    num_bytes: float
    num_flops: float = 0.0


class Cases:
    def __init__(self, scale: Scale, device: torch.device) -> None:
        self._scale, self._on, self._shape = scale, device, scale.shape
        self._dtype: torch.dtype = getattr(torch, scale.dtype)

    def __iter__(self) -> Iterator[Case]:
        for rows in self._scale.rows:
            yield self._norm(rows)
            yield self._activation(rows)
            yield self._linear(rows)
            if rows <= self._scale.max_running:
                yield self._decode(rows)
                yield self._sample(rows)
        yield self._read()

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self._on, generator=torch.Generator(self._on).manual_seed(1)).to(self._dtype)

    def _norm(self, rows: int) -> Case:
        size = self._shape["hidden_size"]
        x, delta, weight = self._random(rows, size), self._random(rows, size), self._random(size)

        def run(ops: Ops, wide: bool) -> Tensor:
            first, second, third = (t.double() if wide else t for t in (x, delta, weight))
            return ops.add_rms_norm(first.clone() if wide else first, second, third, 1e-5)

        return Case("add_rms_norm", f"{rows} x {size}", run, 4 * x.nbytes)

    def _activation(self, rows: int) -> Case:
        size = self._shape["intermediate_size"]
        x = self._random(rows, 2 * size)
        return Case(
            "silu_and_mul",
            f"{rows} x {2 * size}",
            lambda ops, wide: ops.silu_and_mul(x.double() if wide else x),
            1.5 * x.nbytes,
        )

    def _linear(self, rows: int) -> Case:
        size, out = self._shape["hidden_size"], 2 * self._shape["intermediate_size"]
        x, weight = self._random(rows, size), self._random(out, size)
        return Case(
            "linear",
            f"{rows} x {size} x {out}",
            lambda ops, wide: (
                ops.packing("none")(weight.double(), None)(x.double()) if wide else ops.packing("none")(weight, None)(x)
            ),
            x.nbytes + weight.nbytes + rows * out * x.element_size(),
            2.0 * rows * size * out,
        )

    def _decode(self, rows: int) -> Case:
        """Each row after a context of its own, read through device memory as in a CUDA graph."""
        context, heads, kv_heads, size = self._attention()
        pages_each = -(-context // PAGE_SIZE)
        keys, values = (self._random(rows * pages_each * PAGE_SIZE, kv_heads, size) for _ in range(2))
        query = self._random(rows, heads, size)
        whole = {"dtype": torch.int32, "device": self._on}
        layout = BatchMetadata(
            positions=torch.full((rows,), context - 1, device=self._on),
            new_slots=torch.arange(rows, device=self._on),
            page_size=PAGE_SIZE,
            decoding=DeviceBatch(
                firsts=torch.arange(rows, **whole),
                nums_new=torch.ones(rows, **whole),
                lengths=torch.full((rows,), context, **whole),
                pages=torch.randperm(rows * pages_each, device=self._on).to(torch.int32).view(rows, pages_each),
            ),
        )
        num_bytes = 2 * rows * context * kv_heads * size * keys.element_size()
        return Case("attention, decode", f"{rows} x {context}", self._attend(query, keys, values, layout), num_bytes)

    def _read(self) -> Case:
        """A chunk of a prompt after as much again."""
        context, heads, kv_heads, size = self._attention()
        num_pages = -(-2 * context // PAGE_SIZE)
        keys, values = (self._random(num_pages * PAGE_SIZE, kv_heads, size) for _ in range(2))
        query = self._random(context, heads, size)
        row = (context, context, torch.randperm(num_pages).tolist())
        layout = BatchMetadata.build([row], page_size=PAGE_SIZE, device=self._on)
        num_flops = 4 * heads * size * (context * context + context * (context + 1) / 2)
        return Case(
            "attention, read",
            f"{context} after {context}",
            self._attend(query, keys, values, layout),
            2 * query.nbytes + 2 * keys.nbytes,
            num_flops,
        )

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, layout: BatchMetadata
    ) -> Callable[[Ops, bool], Tensor]:
        def run(ops: Ops, wide: bool) -> Tensor:
            tensors = (t.double() if wide else t for t in (query, keys, values))
            of_run = replace(layout, prepared={}) if wide else layout
            return ops.attention(*tensors, of_run, AttentionKind(query.shape[-1] ** -0.5))

        return run

    def _attention(self) -> tuple[int, int, int, int]:
        shape = self._shape
        heads, kv_heads = shape["num_attention_heads"], shape["num_key_value_heads"]
        return self._scale.context, heads, kv_heads, shape["head_dim"]

    def _sample(self, rows: int) -> Case:
        """Drawn tokens are compared as they are: they are the same, or not."""
        vocab_size = self._shape["vocab_size"]
        logits = self._random(rows, vocab_size).float()
        draws = SamplingBatch.build([Nucleus(seed) for seed in range(rows)], self._on)
        positions = torch.arange(rows, device=self._on)
        return Case(
            "sample_on_device",
            f"{rows} x {vocab_size}",
            lambda ops, wide: ops.sample_on_device(logits.clone() if wide else logits, draws, positions),
            logits.nbytes,
        )
