"""Packs columns: int32 bytes for token ids, pages and lengths, float32 bytes for log probabilities.

Packed bytes decode 40 to 100 times faster than a list of ints. `array("i")` reads them without numpy, which the light
services do not load; the executor uses `numpy.frombuffer(column, dtype="<i4")` on the same bytes.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator

ITEM_BYTES = 4
INT32_MAX = 2**31 - 1
_SWAP = sys.byteorder == "big"


def pack(values: Iterable[int]) -> bytes:
    """Returns `values` as little-endian int32 bytes. Raises OverflowError for a value outside int32."""
    column = values if isinstance(values, array) and values.typecode == "i" else array("i", values)
    if _SWAP:
        column = array("i", column)
        column.byteswap()
    return column.tobytes()


def unpack(data: bytes) -> "array[int]":
    """Returns the int32 values of `data`. Raises ValueError when its length is not a multiple of 4 bytes."""
    column = array("i")
    column.frombytes(data)
    if _SWAP:
        column.byteswap()
    return column


def unpack_rows(*columns: bytes) -> "Iterator[tuple[int, ...]]":
    """Returns an iterator over the rows of `columns`. Raises ValueError unless all have the same number of values."""
    if len(set(map(len, columns))) > 1:
        raise ValueError(f"columns of {', '.join(str(count(column)) for column in columns)} values stand side by side")
    return zip(*map(unpack, columns), strict=True)


def pack_floats(values: Iterable[float]) -> bytes:
    """Returns `values` as little-endian float32 bytes."""
    column = array("f", values)
    if _SWAP:
        column.byteswap()
    return column.tobytes()


def unpack_floats(data: bytes) -> "array[float]":
    """Returns the float32 values of `data`. Raises ValueError when its length is not a multiple of 4 bytes."""
    column = array("f")
    column.frombytes(data)
    if _SWAP:
        column.byteswap()
    return column


def count(data: bytes) -> int:
    """Returns the number of values in a column."""
    return len(data) // ITEM_BYTES
