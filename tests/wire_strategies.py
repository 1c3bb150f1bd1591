"""Hypothesis strategies for everything that crosses the bus: each field drawn by its type and its bounds."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as kinds

from xylem.shared.protocol import Message
from xylem.shared.protocol.columns import pack

INT64 = (-(2**63), 2**64 - 1)  # what MessagePack holds

# Names become subjects, texts become JSON and log lines.
ODD_TEXTS = ["", "\x00", "a b", "a.b", "*", ">", "a\r\nPUB b 0\r\n", "\u2028", "\U0010ffff", "é" * 300, "{}", "'\"\\"]

int32 = st.integers(0, 9) | st.integers(-(2**31), 2**31 - 1)
columns = st.lists(int32, max_size=4).map(pack)
octets = columns | st.binary(max_size=9)
texts = st.sampled_from(ODD_TEXTS) | st.text(max_size=8)


@dataclass(frozen=True)
class Range:
    """Inclusive borders of an integer."""

    low: int
    high: int


def message_kinds() -> list[type[Message]]:
    """Every message of the bus."""
    return sorted(Message.__subclasses__(), key=lambda kind: kind.__name__)


@cache
def values(kind: Any, names: tuple[str, ...] = (), numbers: tuple[int, ...] = ()) -> st.SearchStrategy[Any]:
    """Values that a field of this type may have; a Struct class gives instances of it.

    names, numbers: what the receiver knows. They come often, so that a message gets past its first check.
    """
    return _Fields(names, numbers).of(kinds.type_info(kind))


class _Fields:
    def __init__(self, names: tuple[str, ...], numbers: tuple[int, ...]) -> None:
        self._texts = st.sampled_from(names) | st.sampled_from(names) | texts if names else texts
        self._numbers = numbers

    def of(self, info: kinds.Type) -> st.SearchStrategy[Any]:
        """Values of a type."""
        match info:
            case kinds.StructType():
                return st.builds(info.cls, **{field.name: self.of(field.type) for field in info.fields})
            case kinds.IntType():
                return self._integers(_range(info))
            case kinds.EnumType():
                return st.sampled_from(list(info.cls))
            case kinds.FloatType():
                return st.floats(info.ge, info.le, allow_nan=False)
            case kinds.StrType(max_length=None):
                return self._texts
            case kinds.StrType(max_length=int(most)):
                return self._texts.map(lambda text: text[:most])
            case kinds.BytesType():
                return octets
            case kinds.BoolType():
                return st.booleans()
            case kinds.NoneType():
                return st.none()
            case kinds.UnionType():
                return st.one_of(*map(self.of, info.types))
            case kinds.VarTupleType():
                return st.lists(self.of(info.item_type), max_size=3).map(tuple)
            case kinds.TupleType():
                return st.tuples(*map(self.of, info.item_types))
            case _:
                raise AssertionError(f"no strategy for {info}")

    def _integers(self, borders: Range) -> st.SearchStrategy[int]:
        known = [number for number in self._numbers if borders.low <= number <= borders.high]
        odd = st.sampled_from([borders.low, borders.high]) | st.integers(borders.low, borders.high)
        return st.sampled_from(known) | st.sampled_from(known) | odd if known else odd


def _range(info: kinds.IntType) -> Range:
    low = INT64[0] if info.ge is None else info.ge
    high = INT64[1] if info.le is None else info.le
    return Range(low, high)


# What a peer that is broken, or none of ours, may put where a field belongs.
strangers: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(*INT64) | st.floats() | texts | octets,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def malformed(draw: st.DrawFn, kind: type[Message]) -> bytes:
    """Bytes near those of a message: cut off, bits turned over, fields of other types; or anything at all."""
    data = bytearray(msgspec.msgpack.encode(draw(values(kind))))
    match draw(st.sampled_from(["cut", "flip", "swap", "grow", "noise"])):
        case "cut":
            return bytes(data[: draw(st.integers(0, len(data) - 1))])
        case "flip":
            for _ in range(draw(st.integers(1, 4))):
                data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
            return bytes(data)
        case "swap":
            fields = msgspec.msgpack.decode(data)
            fields[draw(st.integers(0, len(fields) - 1))] = draw(strangers)
            return msgspec.msgpack.encode(fields)
        case "grow":
            fields = msgspec.msgpack.decode(data)
            return msgspec.msgpack.encode([*fields, *draw(st.lists(strangers, max_size=2))])
        case _:
            return draw(st.binary(max_size=64))
