"""JSON strings as grammar nodes: free ones, counted ones, those of a pattern or a format, and keys.

Only free strings may spell a character as \\uXXXX; everywhere else each text has one spelling, so that counting
characters and leaving out keys is exact.
"""

import json
import re
from collections.abc import Iterable, Sequence

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    Node,
    Repeat,
    Rule,
    Seq,
    Text,
    alt,
    chars,
    maybe,
    seq,
    without,
)
from xylem.services.executor.structured_output.regexes import ALL, search_node

QUOTE = Text('"')
PLAIN = Chars(without(ALL, ((0, 31), (34, 34), (92, 92), (127, 159))))
_HEX, _NOT_D = chars((48, 57), (65, 70), (97, 102)), chars((48, 57), (65, 67), (69, 70), (97, 99), (101, 102))
_SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r"}
# No half of a surrogate pair: it would be no text. Blanks and control characters are escaped.
CHARACTER = alt((
    PLAIN,
    seq(Text("\\"), Chars(tuple((ord(c), ord(c)) for c in '"/\\bfnrt'))),
    seq(Text("\\u"), _NOT_D, _HEX, _HEX, _HEX),
    seq(Text("\\u"), chars((68, 68), (100, 100)), chars((48, 55)), _HEX, _HEX),
))  # fmt: skip
COUNTED = alt((PLAIN, seq(Text("\\"), Chars(tuple((ord(c), ord(c)) for c in '"\\nt')))))

LONGEST_COUNTED = 256
"""Characters. Every further one that is counted costs the compiler a pass over the vocabulary (measured with 150,000
tokens: about 30 ms): a string that may be longer than this ends here, which keeps what is written valid."""

_DATE = "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"  # noqa: E501
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
# The longest label (63) and the longest local part (64) are not counted: it would cost seconds of compiling.
_LABEL = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_H16 = "[0-9a-fA-F]{1,4}"
_PATH = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_TAIL = rf"(?:\?{_PATH})?(?:#{_PATH})?"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]{{1,15}}://{_HOST}(?::[0-9]{{1,5}})?(?:/{_PATH})?{_TAIL}"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": "P(?:[0-9]{1,6}W|[0-9]{1,6}D(?:T[0-9]{1,6}H)?|T(?:[0-9]{1,6}H)?[0-9]{1,6}M|T[0-9]{1,6}S)",
    "email": rf"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@{_HOST}",
    "hostname": _HOST,
    "ipv4": rf"{_BYTE}(?:\.{_BYTE}){{3}}",
    "ipv6": f"(?:{_H16}:){{7}}{_H16}|(?:{_H16}:){{1,6}}:{_H16}|::(?:{_H16}:){{0,5}}{_H16}|::",
    "uri": _URI,
    "uri-reference": f"{_URI}|/{_PATH}{_TAIL}",
    "uuid": "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "json-pointer": "(?:/(?:[A-Za-z0-9_. -]|~[01])*)*",
    "relative-json-pointer": "(?:0|[1-9][0-9]{0,5})(?:#|(?:/(?:[A-Za-z0-9_. -]|~[01])*)*)",
    "regex": "[A-Za-z0-9_ -]*",
}
FORMATS |= {"idn-email": FORMATS["email"], "idn-hostname": _HOST, "iri": _URI, "uri-template": _URI}
FORMATS |= {"iri-reference": FORMATS["uri-reference"]}
"""Format to a regular expression, a part of what the format allows: all that is written is valid. Other names have no
meaning in the standard and are annotations."""


def pattern_matches(pattern: str, text: str) -> bool:
    """Does a pattern of a schema match? Raises GrammarFailed for one that searched() would refuse."""
    search_node(pattern)
    python = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    try:
        return re.search(python, text, re.ASCII) is not None
    except re.error as error:
        raise GrammarFailed(f"the pattern {pattern!r} can't be used: {error}") from None


def json_string(patterns: Iterable[str], formats: Iterable[str], least: int, most: int | None) -> Node:
    """Returns strings with all these properties; lengths in characters. Raises GrammarFailed for an unsupported mix."""
    wanted = {"p" + p: p for p in patterns} | {"f" + f: f"^(?:{FORMATS[f]})$" for f in formats if f in FORMATS}
    if most is not None and most < least:
        return NOTHING
    if len(wanted) > 1:
        raise GrammarFailed("pattern and format, or two of them, on one string are not supported")
    for pattern in wanted.values():
        return quote_json(_within(search_node(pattern), least, most, pattern))
    if not least and most is None:
        return seq(QUOTE, Repeat(CHARACTER, 0, None), QUOTE)
    least_counted = min(least, LONGEST_COUNTED)
    if least_counted < least:
        raise GrammarFailed(f"minLength above {LONGEST_COUNTED} is not supported")
    if most is None:
        return seq(QUOTE, Repeat(CHARACTER, least, None), QUOTE)
    return seq(QUOTE, Repeat(COUNTED, least, min(most, LONGEST_COUNTED)), QUOTE)


def quote_json(node: Node) -> Node:
    """Wraps a node over characters into a JSON string."""
    return seq(QUOTE, escaped(node), QUOTE)


def escaped(node: Node) -> Node:
    match node:
        case Text(text):
            return Text(json.dumps(text, ensure_ascii=False)[1:-1])
        case Chars(ranges):
            special = [p for first, last in ranges for p in (*range(32), 34, 92) if first <= p <= last]
            plain = without(ranges, ((0, 31), (34, 34), (92, 92)))
            return alt(([Chars(plain)] if plain else []) + [Text(_escape(p)) for p in special])
        case Seq(parts):
            return seq(*map(escaped, parts))
        case Alt(options):
            return alt(map(escaped, options))
        case Repeat(inner, least, most):
            return Repeat(escaped(inner), least, most)
        case Rule():
            return node


def _escape(point: int) -> str:
    return f"\\{_SHORT[point]}" if point in _SHORT else f"\\u{point:04x}" if point < 32 else "\\" + chr(point)


def any_key_but(texts: Sequence[str]) -> Node:
    """Returns all keys but these, over characters: follows the texts as a tree and leaves it somewhere."""
    rest = Repeat(PLAIN, 0, None)
    ends = "" in texts
    heads = sorted({text[0] for text in texts if text})
    other = seq(Chars(without(PLAIN.ranges, tuple((ord(h), ord(h)) for h in heads))), rest)
    deeper = [seq(Text(h), any_key_but([t[1:] for t in texts if t.startswith(h)])) for h in heads]
    return alt([*([] if ends else [EMPTY]), other, *deeper])


def _lengths(node: Node) -> tuple[int, int | None]:
    """The fewest and the most characters."""
    match node:
        case Text(text):
            return len(text), len(text)
        case Chars():
            return 1, 1
        case Seq(parts):
            each = [_lengths(part) for part in parts]
            return sum(e[0] for e in each), _total([e[1] for e in each])
        case Alt(options):
            each = [_lengths(option) for option in options]
            mosts = [e[1] for e in each]
            most = None if None in mosts else max((m for m in mosts if m is not None), default=0)
            return min((e[0] for e in each), default=0), most
        case Repeat(inner, least, most):
            low, high = _lengths(inner)
            return low * least, None if most is None or high is None else high * most
        case Rule():
            raise AssertionError("a pattern has no rules")


def _total(numbers: list[int | None]) -> int | None:
    return None if None in numbers else sum(n for n in numbers if n is not None)


def _within(node: Node, least: int, most: int | None, pattern: str) -> Node:
    """The part of a pattern's texts whose length is in the bounds; of an open end, the first LONGEST_COUNTED."""
    if isinstance(node, Alt):
        return alt(kept for option in node.options if (kept := _within(option, least, most, pattern)) != NOTHING)
    shortest, longest = _lengths(node)
    if shortest >= least and (most is None or (longest is not None and longest <= most)):
        return node
    if (most is not None and shortest > most) or (longest is not None and longest < least):
        return NOTHING
    parts = list(node.parts) if isinstance(node, Seq) else [node]
    # One repetition of single characters takes up the slack, the others keep their fewest.
    slack = [i for i, part in enumerate(parts) if isinstance(part, Repeat) and _lengths(part.node) == (1, 1)]
    fixed = [i for i in range(len(parts)) if _lengths(parts[i])[0] == _lengths(parts[i])[1]]
    open_ = [i for i in slack if i not in fixed]
    rest = [i for i in range(len(parts)) if i not in fixed and i not in open_]
    if not open_ or (rest and _total([_lengths(parts[i])[1] for i in rest]) is None):
        raise GrammarFailed(f"the pattern {pattern!r} together with minLength or maxLength is not supported")
    widest = max(open_, key=lambda i: _room(parts[i]))
    for i in open_:
        part = parts[i]
        assert isinstance(part, Repeat)
        if i != widest:
            few = max(part.least, 1 if part.most is None or part.most else 0)
            parts[i] = Repeat(part.node, part.least, few)
    others = [_lengths(part) for i, part in enumerate(parts) if i != widest]
    low, high = sum(o[0] for o in others), _total([o[1] for o in others])
    part = parts[widest]
    assert isinstance(part, Repeat)
    assert high is not None
    new_least = max(part.least, least - low)
    new_most = part.most
    if most is not None:
        new_most = min(n for n in (part.most, min(most, max(LONGEST_COUNTED, least)) - high) if n is not None)
    if new_most is not None and new_most < new_least:
        raise GrammarFailed(f"the pattern {pattern!r} together with minLength or maxLength is not supported")
    parts[widest] = Repeat(part.node, new_least, new_most)
    return seq(*parts)


def _room(node: Node) -> float:
    assert isinstance(node, Repeat)
    return float("inf") if node.most is None else node.most - node.least


__all__ = ["FORMATS", "any_key_but", "json_string", "maybe", "pattern_matches", "quote_json"]
