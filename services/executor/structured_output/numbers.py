"""JSON numbers within bounds as grammar nodes: plain decimals, no exponents, at most 15 digits on either side."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import NOTHING, Node, Repeat, Text, alt, chars, maybe, seq

DIGIT, NONZERO = chars((48, 57)), chars((49, 57))
MOST_DIGITS = 15  # what a double holds
HIGHEST = 10**MOST_DIGITS - 1
MOST_LISTED = 1000  # numbers that are written out one by one


@dataclass(frozen=True, slots=True)
class Bounds:
    """None: open. The *_open say that the bound itself does not belong to it."""

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = False
    high_open: bool = False

    def intersect(self, other: "Bounds") -> "Bounds":
        lows = [(b.low, b.low_open) for b in (self, other) if b.low is not None]
        highs = [(-b.high, b.high_open) for b in (self, other) if b.high is not None]
        low = max(lows, default=(None, False))
        high = max(highs, default=(None, False))
        return Bounds(low[0], None if high[0] is None else -high[0], low[1], high[1])

    def holds(self, value: Fraction) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        return above and (self.high is None or value < self.high or (value == self.high and not self.high_open))

    def integers(self) -> tuple[int, int]:
        """The lowest and the highest integer within; the first is greater when there is none."""
        low, high = -HIGHEST, HIGHEST
        if self.low is not None:
            low = max(low, floor(self.low) + 1 if self.low_open else ceil(self.low))
        if self.high is not None:
            high = min(high, ceil(self.high) - 1 if self.high_open else floor(self.high))
        return low, high


def json_integer(bounds: Bounds, multiple: int = 1) -> Node:
    """Integers that are multiples of `multiple`. Raises GrammarFailed for those that have no grammar."""
    low, high = bounds.integers()
    if low > high:
        return NOTHING
    if multiple == 1:
        return _integers(low, high)
    first, last = -(-low // multiple), high // multiple
    if last - first < MOST_LISTED:
        return alt(Text(str(n * multiple)) for n in range(first, last + 1))
    shift = len(str(multiple)) - 1
    if multiple == 10**shift:
        return alt(([Text("0")] if first <= 0 <= last else []) + [
            seq(_integers(a, b), Text("0" * shift)) for a, b in ((first, -1), (max(first, 1), last)) if a <= b
        ])  # fmt: skip
    if multiple in (2, 5):
        endings = alt(Text(str(d)) for d in range(0, 10, multiple))
        tens_low, tens_high = ceil(Fraction(low, 10)), floor(Fraction(high - 9, 10))
        signed = [seq(Text("-"), _integers(1, -tens_low - 1), endings)] if tens_low < -1 else []
        positive = max(tens_low, 1)
        return alt([
            *(Text(str(d)) for d in range(0, 10, multiple) if low <= d <= high),
            *([seq(_integers(positive, tens_high), endings)] if positive <= tens_high else []),
            *signed,
        ])  # fmt: skip
    raise GrammarFailed(f"multipleOf {multiple} is not supported without narrow bounds")


def json_number(bounds: Bounds, multiple: Fraction | None = None) -> Node:
    """Numbers with or without a fraction; `multiple` may be a power of ten. Raises GrammarFailed for others."""
    if multiple is not None:
        if multiple.denominator == 1:
            return json_integer(bounds, multiple.numerator)
        places = len(str(multiple.denominator)) - 1
        if multiple != Fraction(1, 10**places):
            raise GrammarFailed(f"multipleOf {float(multiple)} is not supported")
    else:
        places = MOST_DIGITS
    positive = bounds.intersect(Bounds(low=Fraction(0)))
    mirrored = Bounds(
        None if bounds.high is None else -bounds.high, None if bounds.low is None else -bounds.low,
        bounds.high_open, bounds.low_open,
    )  # fmt: skip
    negative = mirrored.intersect(Bounds(low=Fraction(0), low_open=True))
    return alt([*_magnitudes(positive, places), *(seq(Text("-"), node) for node in _magnitudes(negative, places))])


def _magnitudes(bounds: Bounds, places: int) -> list[Node]:
    """Numbers of which none is negative."""
    low, high = bounds.integers()
    whole = [_integers(low, high)] if low <= high else []
    # [first, last]: integers after which every fraction is within
    first = 0 if bounds.low is None else ceil(bounds.low)
    last = HIGHEST if bounds.high is None else min(HIGHEST, floor(bounds.high) - 1)
    out: list[Node] = list(whole)
    if bounds.low_open and first == bounds.low and first <= last:
        out.append(seq(Text(f"{first}."), Repeat(DIGIT, 0, places - 1), NONZERO))
        first += 1
    if first <= last:
        out.append(seq(_integers(first, last), Text("."), Repeat(DIGIT, 1, places)))
    return out + _edges(bounds, places)


def _edges(bounds: Bounds, places: int) -> list[Node]:
    """Fractions beside a bound that is no integer, to two places."""
    units = {floor(b) for b in (bounds.low, bounds.high) if b is not None and b.denominator > 1}
    step = min(places, 2)
    hundred = 10**step
    return [
        Text(f"{unit}.{part:0{step}d}")
        for unit, part in itertools.product(sorted(units), range(1, hundred))
        if step and bounds.holds(unit + Fraction(part, hundred))
    ]


def _integers(low: int, high: int) -> Node:
    if low < 0:
        below = seq(Text("-"), _integers(max(1, -high), -low))
        return below if high < 0 else alt((below, _integers(0, high)))
    if low == 0 and high == HIGHEST:
        return alt((Text("0"), seq(NONZERO, Repeat(DIGIT, 0, MOST_DIGITS - 1))))
    options: list[Node] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first, last = max(low, 10 ** (digits - 1) if digits > 1 else 0), min(high, 10**digits - 1)
        options.append(_same_length(str(first), str(last)))
    return alt(options)


def _same_length(low: str, high: str) -> Node:
    """Digit strings from one to the other, all of one length."""
    if not low:
        return Text("")
    if set(low) == {"0"} and set(high) == {"9"}:
        return Repeat(DIGIT, len(low), len(low))
    if low[0] == high[0]:
        return seq(Text(low[0]), _same_length(low[1:], high[1:]))
    rest = len(low) - 1
    first, last = int(low[0]), int(high[0])
    options: list[Node] = []
    if set(low[1:]) - {"0"}:
        options.append(seq(Text(low[0]), _same_length(low[1:], "9" * rest)))
        first += 1
    upper = None
    if set(high[1:]) - {"9"}:
        upper = seq(Text(high[0]), _same_length("0" * rest, high[1:]))
        last -= 1
    if first <= last:
        options.append(seq(chars((48 + first, 48 + last)), *([Repeat(DIGIT, rest, rest)] if rest else [])))
    return alt(options + ([upper] if upper else []))


__all__ = ["Bounds", "json_integer", "json_number", "maybe"]
