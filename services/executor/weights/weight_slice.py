"""The part of a parameter that one tensor of a checkpoint fills."""

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightSlice:
    """Rows [first, first + shape[0]) of a parameter, or of one expert's part of it."""

    parameter: str
    first: int
    shape: Shape
    expert: int | None = None


def stacked_slices(
    prefix: str, names: tuple[str, ...], sizes: Shape, parameter: str, width: int, *,
    bias: bool = False, expert: int | None = None,
) -> dict[str, WeightSlice]:  # fmt: skip
    """Returns slices for linear layers of a checkpoint that are stacked, in order, into one parameter."""
    found: dict[str, WeightSlice] = {}
    first = 0
    for name, size in zip(names, sizes, strict=True):
        found[f"{prefix}.{name}.weight"] = WeightSlice(parameter, first, (size, width), expert)
        if bias:
            found[f"{prefix}.{name}.bias"] = WeightSlice(f"{parameter}_bias", first, (size,))
        first += size
    return found
