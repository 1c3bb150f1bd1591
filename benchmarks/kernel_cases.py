"""What bench_kernels times: groups of ways to do the same thing, which take turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from kernels import ops
from kernels.reference.linear import PlainLinear

# Of the 0.5B model: columns, width.
SHAPES = {"qkv": (1152, 896), "output": (896, 896), "gate_up": (9728, 896), "down": (896, 4864), "head": (151_936, 896)}
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
    native, cpu = ops.load("native", torch.device("cpu")), ops.load("cpu", torch.device("cpu"))
    ways: dict[str, ops.PackLinear] = {
        "torch F.linear": PlainLinear,
        "oneDNN prepacked": cpu.linears["none"],
        **{f"native {name.replace('none', 'bf16')}": pack for name, pack in native.linears.items()},
    }
    bits = {"native int8": 8, "native int4": 4.25}
    for shape in shapes:
        num_columns, width = SHAPES[shape]
        layers: dict[str, list[ops.Linear]] = {}
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
