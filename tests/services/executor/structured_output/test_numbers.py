"""Numbers under a schema: each spelling of each number that it allows may be written, and no other number."""

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.eval_schemas import judge
from xylem.services.executor.structured_output import GrammarFailed
from xylem.services.executor.structured_output.compiler import Vocabulary, compile_grammar
from xylem.services.executor.structured_output.grammar_state import Automaton

END = 256
BYTES = Vocabulary([*(bytes((i,)) for i in range(256)), b""], 257, [END])


def compiled(schema: Any) -> Automaton:
    return compile_grammar(BYTES, "json_schema", json.dumps(schema))


def takes(grammar: Automaton, text: str) -> bool:
    state = grammar.begin(frozenset([END]))
    return all(state.accept(byte) for byte in text.encode()) and state.accept(END)


def spellings(value: Decimal) -> set[str]:
    """How people and libraries write a number without an exponent, and with one after a single digit."""
    plain = format(value, "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    points = {plain, f"{plain}0" if "." in plain else f"{plain}.0", f"{plain}{'' if '.' in plain else '.'}00"}
    if not value:
        return points
    scientific = format(value.normalize(), "e")
    mantissa, exponent = scientific.split("e")
    return points | {f"{mantissa}{e}{int(exponent)}" for e in "eE"} | {repr(float(plain))}


CASES: list[tuple[Any, list[str], list[str]]] = [
    ({"type": "integer"}, ["1234567890123456789", "-12345678901234567890123", "0", "-7"],
     ["01", "1.5", "-0", "+1", "1e3"]),
    ({"type": "number"}, ["1e10", "-2.5E-07", "0.1", "12345678901234567890.123456789012345678901", "-0.0"],
     ["01", ".5", "1.", "1e", "NaN", "--1"]),
    ({"type": "number", "minimum": 0, "maximum": 0.5}, ["0.1", "0.125", "0.5", "0.50", "0", "0.0", "5e-1", "1.25e-07"],
     ["0.51", "0.500001", "-0.1", "1", "5.1e-1", "5e0"]),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, ["0.9999", "1e-5", "0.000001", "9.9e-01"],
     ["0", "0.0", "1", "1.0", "0e5", "1e0", "-0.5"]),
    ({"type": "number", "minimum": -180, "maximum": 180}, ["-122.419416", "180", "180.0", "-180.000", "1.8e2", "-0"],
     ["180.0001", "-181", "1.81e2", "1e3"]),
    ({"type": "number", "minimum": 0}, ["1e300", "15e2", "0.00"], ["-1e-9", "-0.1"]),
    ({"type": "number", "maximum": -3}, ["-3", "-3.0", "-1e9", "-3.5"], ["-2.999", "3", "-2.9e0"]),
    ({"type": "integer", "minimum": 0, "maximum": 99999999999999999999},
     ["99999999999999999999", "1234567890123456789"],
     ["100000000000000000000", "-1"]),
    ({"type": "integer", "minimum": 1700000000000000000}, ["1764380000123456789", "1700000000000000000"],
     ["1699999999999999999", "5"]),
    ({"type": "number", "minimum": 1e-300, "maximum": 1e-290}, ["1e-300", "2.5e-295", "1e-290"],
     ["1e-301", "0", "1.1e-290"]),
    ({"type": "number", "minimum": 1e290, "maximum": 1.5e300}, ["1e290", "1.5e300", "3.25e+299"],
     ["1e289", "1.6e300", "7"]),
    ({"type": "number", "multipleOf": 0.01, "minimum": 0}, ["1.23", "5", "5.1", "5.10", "5.100"], ["1.234", "0.001"]),
    ({"type": "number", "multipleOf": 0.25, "minimum": 0.25, "maximum": 10}, ["0.25", "0.250", "10", "3.5"],
     ["0.3", "0", "10.25"]),
    ({"type": "integer", "multipleOf": 7}, ["49", "-7", "0", "70000"], ["50", "1"]),
    ({"type": "integer", "not": {"const": 5}}, ["4", "6", "55", "1234567890123456789"], ["5"]),
    ({"type": "number", "not": {"enum": [0.5, 2]}}, ["0.51", "0.05", "20", "2.01", "5e-2"],
     ["0.5", "0.50", "5e-1", "5.0E-01", "2", "2.0", "2e0", "2.00e+00"]),
    ({"type": "number", "const": 0.5}, ["0.5"], ["0.6"]),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "taken", "refused"), CASES, ids=lambda value: json.dumps(value)[:60])
def test_numbers_as_people_write_them(schema: Any, taken: list[str], refused: list[str]) -> None:
    grammar = compiled(schema)
    verdict = judge(schema)
    for text in taken:
        assert takes(grammar, text), text
        assert verdict(text) == "", text
    for text in refused:
        assert not takes(grammar, text), text


decimals = st.builds(
    lambda digits, places, sign: Decimal(sign * digits).scaleb(-places),
    st.integers(0, 10**6), st.integers(0, 7), st.sampled_from([1, -1]),
)  # fmt: skip
bounds = st.one_of(decimals, st.integers(-50, 50).map(Decimal))


def _is_empty(low: Decimal, high: Decimal, *, is_open: bool, whole: bool) -> bool:
    if not whole:
        return high < low or (is_open and high == low)
    first = math.ceil(low) + (is_open and low == math.ceil(low))
    return first > math.floor(high)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), low=st.none() | bounds, high=st.none() | bounds, is_open=st.booleans(), whole=st.booleans())
def test_exactly_the_numbers_within_bounds(
    data: st.DataObject, low: Decimal | None, high: Decimal | None, is_open: bool, whole: bool
) -> None:
    schema: dict[str, Any] = {"type": "integer" if whole else "number"}
    if low is not None:
        schema["exclusiveMinimum" if is_open else "minimum"] = float(low)
    if high is not None:
        schema["maximum"] = float(high)
    if low is not None and high is not None and _is_empty(low, high, is_open=is_open, whole=whole):
        with pytest.raises(GrammarFailed, match="no JSON document"):
            compiled(schema)
        return
    grammar = compiled(schema)
    verdict = judge(schema)
    near = [Decimal(repr(schema[key])) for key in schema if key != "type"]
    values = [value + step for value in near for step in (Decimal(0), Decimal("0.001"), Decimal("-0.001"), Decimal(1))]
    for value in [*values, data.draw(decimals), data.draw(decimals)]:
        for text in spellings(value):
            allowed = verdict(text) == "" and (not whole or text.lstrip("-").isdigit()) and not (whole and text == "-0")
            assert takes(grammar, text) is allowed, text
