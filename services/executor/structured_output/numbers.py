"""JSON numbers as regular nodes: any, integers, and those on one side of a bound.

A number within two bounds is a lexeme that both nodes match. Beside a bound, numbers are plain decimals, or have an
exponent after one digit that is not zero (2.5e-05); where there is no bound on that side of zero, after any number.
Zeros may follow every fraction. Digits are bounded, since a model could else write them for ever.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import (
    NOTHING,
    Alt,
    EmbeddedSchema,
    Node,
    Repeat,
    Seq,
    Text,
    alt,
    chars,
    lexeme,
    maybe,
    seq,
)

MOST_LISTED = 1000  # multiples that are written out one by one
HIGHEST = 10**15  # of bounds beside multiples, which llguidance holds as doubles
MOST_DIGITS = 64  # on either side of the point, where a bound does not need more
DIGIT, NONZERO = chars((48, 57)), chars((49, 57))
DIGITS, MORE = Repeat(DIGIT, 1, MOST_DIGITS), Repeat(DIGIT, 0, MOST_DIGITS)
ZEROS = Repeat(Text("0"), 1, MOST_DIGITS)
FRACTION = maybe(seq(Text("."), DIGITS))
MINUS, E = Text("-"), chars((69, 69), (101, 101))
EXPONENT = seq(E, maybe(chars((43, 43), (45, 45))), Repeat(DIGIT, 1, 3))
WHOLE = alt((Text("0"), seq(NONZERO, Repeat(DIGIT, 0, MOST_DIGITS - 1))))
MAGNITUDE = seq(WHOLE, FRACTION, maybe(EXPONENT))
ZERO = seq(Text("0"), maybe(seq(Text("."), ZEROS)), maybe(EXPONENT))
NUMBER = seq(maybe(MINUS), MAGNITUDE)
INTEGER = alt((Text("0"), seq(maybe(MINUS), NONZERO, Repeat(DIGIT, 0, None))))
# Each value has few spellings here, which can be listed.
PLAIN_NUMBER = seq(maybe(MINUS), alt((
    seq(WHOLE, FRACTION), seq(NONZERO, FRACTION, EXPONENT),
)))  # fmt: skip


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

    def nodes(self) -> Iterable[Node]:
        """Yields a node for each bound, which the numbers on its side match."""
        if self.low is not None:
            yield _from(self.low, MINUS, Text(""), is_open=self.low_open)
        if self.high is not None:
            yield _from(-self.high, Text(""), MINUS, is_open=self.high_open)


def json_number(bounds: Bounds, multiple: Fraction | None = None, refused: Iterable[Fraction] = ()) -> Node:
    """Returns the numbers with all these properties. Raises GrammarFailed for multiples that are not supported."""
    needed = [*bounds.nodes()] or [NUMBER]
    refusing = [spellings(value) for value in refused]
    if refusing:
        needed.append(PLAIN_NUMBER)
    if multiple is not None:
        places, zeros = len(str(multiple.denominator)) - 1, len(str(multiple.numerator)) - 1
        values = _multiples(bounds, multiple)
        if multiple == 10**zeros:
            needed.append(INTEGER if not zeros else powers(zeros))
        elif multiple == Fraction(1, 10**places):
            needed.append(decimals(places))
        elif values is not None and len(values) <= MOST_LISTED:
            needed += [PLAIN_NUMBER, alt(spellings(value * multiple) for value in values)]
            needed += [INTEGER] if multiple.denominator == 1 else []
        elif refusing:
            raise GrammarFailed(f"multipleOf {_written(multiple)} beside not is not supported")
        else:
            return _embedded_multiples(bounds, multiple)
    return lexeme(*needed, none_of=refusing)


def _multiples(bounds: Bounds, multiple: Fraction) -> range | None:
    """Returns the factors whose products are within bounds; None where there is no end."""
    if bounds.low is None or bounds.high is None:
        return None
    low, high = ceil(bounds.low / multiple), floor(bounds.high / multiple)
    low += bounds.low_open and low * multiple == bounds.low
    high -= bounds.high_open and high * multiple == bounds.high
    return range(low, max(low, high + 1))


def _embedded_multiples(bounds: Bounds, multiple: Fraction) -> Node:
    """Returns multiples between far or open bounds. They are closed first, at a multiple."""
    size = float(multiple)
    limits = [abs(b) for b in (bounds.low, bounds.high) if b is not None]
    if Fraction(str(size)) != multiple or max([multiple, *limits]) > HIGHEST:
        raise GrammarFailed(f"multipleOf {_written(multiple)} is not supported with these bounds")
    is_whole = multiple.denominator == 1
    schema = {"type": "integer" if is_whole else "number", "multipleOf": int(size) if is_whole else size}
    for name, value, is_open, sign in (
        ("minimum", bounds.low, bounds.low_open, 1), ("maximum", bounds.high, bounds.high_open, -1),
    ):  # fmt: skip
        if value is not None:
            factor = ceil(sign * value / multiple)
            factor += is_open and factor * multiple == sign * value
            # Half a step further out, where no multiple is, a bound has one spelling.
            at = sign * (factor - (0 if is_whole else Fraction(1, 2))) * multiple
            schema[name] = int(at) if is_whole else float(at)
    return EmbeddedSchema(json.dumps(schema))


def _written(number: Fraction) -> str:
    return str(number.numerator) if number.denominator == 1 else str(float(number))


def decimals(places: int) -> Node:
    """Returns the numbers with at most so many places, and zeros after them."""
    most = Repeat(DIGIT, 0, places)
    return seq(maybe(MINUS), WHOLE, maybe(seq(Text("."), alt((seq(most, ZEROS), Repeat(DIGIT, 1, max(places, 1)))))))


def powers(zeros: int) -> Node:
    """Returns the integers that end with so many zeros."""
    return alt((Text("0"), seq(INTEGER, Text("0" * zeros))))


def spellings(value: Fraction) -> Node:
    """Returns all spellings of a value in PLAIN_NUMBER."""
    if not value:
        return seq(maybe(MINUS), Text("0"), maybe(seq(Text("."), ZEROS)))
    whole, places, digits, exponent = _digits(abs(value))
    sign = MINUS if value < 0 else Text("")
    # Both end with any number of zeros.
    plain = seq(Text(whole), seq(Text(f".{places}"), Repeat(Text("0"), 0, None)) if places else _point_zero())
    mantissa = seq(Text(f"{digits[0]}.{digits[1:]}"), Repeat(Text("0"), 0, None)) if digits[1:] else seq(
        Text(digits), _point_zero()
    )  # fmt: skip
    return seq(sign, alt((plain, seq(mantissa, E, _exponents(exponent)))))


def _point_zero() -> Node:
    return maybe(seq(Text("."), Repeat(Text("0"), 1, None)))


def _from(bound: Fraction, minus: Node, plus: Node, *, is_open: bool) -> Node:
    """Returns the numbers from a bound on; those from -bound down when the signs are exchanged."""
    if bound < 0:
        return alt((seq(plus, MAGNITUDE), seq(minus, _at_most(-bound, is_open=is_open))))
    if bound > 0 or is_open:
        return seq(plus, _at_least(bound, is_open=is_open))
    return alt((seq(plus, MAGNITUDE), seq(minus, ZERO)))


def _at_least(bound: Fraction, *, is_open: bool) -> Node:
    """Returns numbers without a sign from a bound on. bound: from 0 on; 0 is open."""
    if not bound:
        from_one = seq(NONZERO, Repeat(DIGIT, 0, MOST_DIGITS - 1), FRACTION)
        return seq(alt((from_one, seq(Text("0."), MORE, NONZERO, MORE))), maybe(EXPONENT))
    whole, places, digits, exponent = _digits(bound)
    mantissa = alt((
        *(seq(chars((point, 57)), FRACTION) for point in (ord(digits[0]) + 1,) if point < 58),
        seq(Text(digits[0]), _fraction_from(digits[1:], is_open=is_open)),
    ))  # fmt: skip
    return alt((
        seq(_above(whole), FRACTION),
        seq(Text(whole), _fraction_from(places, is_open=is_open)),
        seq(NONZERO, FRACTION, E, _exponents_above(exponent)),
        seq(mantissa, E, _exponents(exponent)),
    ))  # fmt: skip


def _at_most(bound: Fraction, *, is_open: bool) -> Node:
    """Returns numbers without a sign up to a bound. bound: from 0 on."""
    if not bound:
        return NOTHING if is_open else ZERO
    whole, places, digits, exponent = _digits(bound)
    mantissa = alt((
        *(seq(chars((49, point)), FRACTION) for point in (ord(digits[0]) - 1,) if point > 48),
        seq(Text(digits[0]), _fraction_to(digits[1:], is_open=is_open)),
    ))  # fmt: skip
    return alt((
        ZERO,
        seq(_below(whole), FRACTION),
        seq(Text(whole), _fraction_to(places, is_open=is_open)),
        seq(NONZERO, FRACTION, E, _exponents_below(exponent)),
        seq(mantissa, E, _exponents(exponent)),
    ))  # fmt: skip


def _digits(value: Fraction) -> tuple[str, str, str, int]:
    """Returns a decimal above 0 as (digits before the point, those after it), and as (d.ddd, exponent)."""
    places = 0
    while (value * 10**places).denominator > 1:
        places += 1
    scaled = str(int(value * 10**places)).rjust(places + 1, "0")
    whole, fraction = scaled[: len(scaled) - places], scaled[len(scaled) - places :]
    digits = (whole + fraction).lstrip("0")
    exponent = len(whole) - 1 if whole != "0" else -(len(fraction) - len(fraction.lstrip("0")) + 1)
    return whole, fraction, digits.rstrip("0"), exponent


def _fraction_from(places: str, *, is_open: bool) -> Node:
    """Returns fractions, with their point, from .places on; none is one of 0. places: without zeros at the end."""
    above = seq(MORE, NONZERO, MORE)
    if not places:
        return seq(Text("."), above) if is_open else FRACTION
    options = [
        seq(Text(f".{places[:at]}"), chars((ord(digit) + 1, 57)), MORE)
        for at, digit in enumerate(places)
        if digit < "9"
    ]  # fmt: skip
    return alt([*options, seq(Text(f".{places}"), above if is_open else MORE)])


def _fraction_to(places: str, *, is_open: bool) -> Node:
    """Returns fractions, with their point, up to .places; none is one of 0."""
    zeros = Repeat(Text("0"), 0, MOST_DIGITS)
    if not places:
        return NOTHING if is_open else maybe(seq(Text("."), ZEROS))
    options = [
        seq(Text(f".{places[:at]}"), chars((48, ord(digit) - 1)), MORE)
        for at, digit in enumerate(places)
        if digit > "0"
    ]  # fmt: skip
    shorter = [Text(f".{places[:at]}") for at in range(1, len(places))]
    return alt([Text(""), *options, *shorter, *([] if is_open else [seq(Text(f".{places}"), zeros)])])


def _above(whole: str) -> Node:
    """Returns the integers above one, without a sign."""
    longer = seq(NONZERO, Repeat(DIGIT, len(whole), max(MOST_DIGITS, len(whole)) + MOST_DIGITS))
    return alt([longer, *_beside(whole, above=True)])


def _below(whole: str) -> Node:
    """Returns the integers below one, without a sign."""
    shorter = [seq(NONZERO, Repeat(DIGIT, 0, len(whole) - 2)), Text("0")] if len(whole) > 1 else []
    return alt([*shorter, *_beside(whole, above=False)])


def _beside(whole: str, *, above: bool) -> list[Node]:
    """Returns the integers of as many digits that are above or below: they differ first at one of the digits."""
    options: list[Node] = []
    for at, digit in enumerate(whole):
        least = 49 if at == 0 and len(whole) > 1 else 48
        first, last = (ord(digit) + 1, 57) if above else (least, ord(digit) - 1)
        if first <= last:
            rest = len(whole) - at - 1
            tail = [Repeat(DIGIT, rest, rest)] if rest else []
            options.append(seq(Text(whole[:at]), chars((first, last)), *tail))
    return options


def _exponents(value: int) -> Node:
    """Returns the spellings of one exponent, without the e."""
    sign = MINUS if value < 0 else maybe(Text("+")) if value else maybe(chars((43, 43), (45, 45)))
    return seq(sign, Repeat(Text("0"), 0, 2), Text(str(abs(value))))


def _exponents_above(value: int) -> Node:
    positive, negative = maybe(Text("+")), MINUS
    if value >= 0:
        return seq(positive, _padded(_above(str(value))))
    smaller = _padded(_below(str(-value)))
    return alt((seq(positive, Repeat(DIGIT, 1, 3)), seq(negative, smaller)))


def _exponents_below(value: int) -> Node:
    positive, negative = maybe(Text("+")), MINUS
    if value <= 0:
        return seq(negative, _padded(_above(str(-value))))
    return alt((seq(negative, Repeat(DIGIT, 1, 3)), seq(positive, _padded(_below(str(value))))))


def _padded(node: Node) -> Node:
    """Returns exponents of at most three digits and two zeros in front."""
    return seq(Repeat(Text("0"), 0, 2), _cut(node))


def _cut(node: Node) -> Node:
    """Returns the part of integers above one that has at most three digits."""
    match node:
        case Alt(options):
            return alt(kept for option in options if (kept := _cut(option)) != NOTHING)
        case Seq((first, Repeat(inner, least, most))) if most is not None and most > 2:
            return NOTHING if least > 2 else seq(first, Repeat(inner, least, 2))
    return node
