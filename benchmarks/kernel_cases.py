"""What bench_kernels times: groups of ways to do the same thing, which take turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from xylem.kernels import registry
from xylem.kernels.attention_kind import AttentionKind
from xylem.kernels.interface import BatchMetadata, Linear, PackLinear
from xylem.kernels.reference.linear import PlainLinear

# Of the 0.5B model: columns, width.
SHAPES = {"qkv": (1152, 896), "output": (896, 896), "gate_up": (9728, 896), "down": (896, 4864), "head": (151_936, 896)}
NUM_HEADS, NUM_KV_HEADS, HEAD_DIM, PAGE_SIZE = 14, 2, 64, 16
# Cases of attention: rows of (tokens before, new tokens).
STEPS = {
    "1 of 512": [(511, 1)],
    "8 of 512": [(511, 1)] * 8,
    "32 of 512": [(511, 1)] * 32,
    "64 of 512": [(511, 1)] * 64,
    "32 of 32 to 2048": [(31 + 65 * row, 1) for row in range(32)],
    "prompt of 512": [(0, 512)],
    "prompt of 2048": [(0, 2048)],
    "512 more after 1536": [(1536, 512)],
}
# What all copies of a weight have together: more than the largest of caches, so that each use finds it in memory.
COLD_BYTES = 600 << 20


@dataclass(frozen=True)
class Case:
    """One way. calls: the same work on different data; num_bytes: that have to be read; num_flops: of one call."""

    way: str
    calls: Sequence[Callable[[], object]]
    num_bytes: int
    num_flops: int


@dataclass(frozen=True)
class Group:
    name: str
    rows: int
    cases: list[Case]


def linears(rows: Sequence[int], shapes: Sequence[str]) -> Iterator[Group]:
    """Linear layers of the model in bfloat16, for each number of rows."""
    native, cpu = registry.load("native", torch.device("cpu")), registry.load("cpu", torch.device("cpu"))
    ways: dict[str, PackLinear] = {
        "torch F.linear": PlainLinear,
        "oneDNN prepacked": cpu.linears["none"],
        **{f"native {name.replace('none', 'bf16')}": pack for name, pack in native.linears.items()},
    }
    bits = {"native int8": 8, "native int4": 4.25}
    for shape in shapes:
        num_columns, width = SHAPES[shape]
        layers: dict[str, list[Linear]] = {}
        for way, pack in ways.items():
            copies = max(2, int(COLD_BYTES * 8 / (num_columns * width * bits.get(way, 16))))
            layers[way] = [pack(torch.randn(num_columns, width, dtype=torch.bfloat16), None) for _ in range(copies)]
        for num_rows in rows:
            x = torch.randn(num_rows, width, dtype=torch.bfloat16)
            cases = [
                Case(
                    way,
                    [lambda layer=layer, x=x: layer(x) for layer in copies],  # type: ignore[misc]
                    int(num_columns * width * bits.get(way, 16) / 8),
                    2 * num_rows * num_columns * width,
                )
                for way, copies in layers.items()
            ]
            yield Group(shape, num_rows, cases)


def attentions(steps: Sequence[str]) -> Iterator[Group]:
    """One layer's attention in bfloat16 over pages at random places. Rows: tokens that are new."""
    cpu = torch.device("cpu")
    for name in steps:
        tables = [-(-(before + new) // PAGE_SIZE) for before, new in STEPS[name]]
        pages = iter(torch.randperm(sum(tables)).tolist())
        rows = [
            (before, new, [next(pages) for _ in range(count)])
            for (before, new), count in zip(STEPS[name], tables, strict=True)
        ]
        layout = BatchMetadata.build(rows, page_size=PAGE_SIZE, device=cpu)
        query = torch.randn(len(layout.positions), NUM_HEADS, HEAD_DIM, dtype=torch.bfloat16)
        shape = (sum(tables) * PAGE_SIZE, NUM_KV_HEADS, HEAD_DIM)
        num_bytes = 2 * 2 * NUM_KV_HEADS * HEAD_DIM * sum(before + new for before, new in STEPS[name])
        num_met = sum(new * before + new * (new + 1) // 2 for before, new in STEPS[name])
        cases = []
        for way in ("cpu", "native"):
            backend = registry.load(way, cpu)
            pools = [
                [backend.new_kv(shape, torch.bfloat16, cpu).normal_() for _ in range(2)]
                for _ in range(max(2, min(24, COLD_BYTES // num_bytes)))
            ]
            calls = [
                lambda attend=backend.attention, pool=pool, query=query, layout=layout: attend(
                    query, *pool, layout, AttentionKind(HEAD_DIM**-0.5)
                )
                for pool in pools
            ]
            cases.append(Case(way, calls, num_bytes, 4 * NUM_HEADS * HEAD_DIM * num_met))
        yield Group(f"attention, {name}", len(query), cases)
