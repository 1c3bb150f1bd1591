"""JSON strings as lexemes: free ones, counted ones, those of patterns and formats, and keys.

Strings of a pattern, and keys, spell each character in one way. Others may write it as an escape of its code, too, but
no half of a surrogate pair, which would be no text; such an escape counts as one character.
"""

import json
from collections.abc import Iterable

from xylem.services.executor.structured_output.formats import FORMATS
from xylem.services.executor.structured_output.nodes import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    Lexeme,
    Node,
    Ranges,
    Repeat,
    Seq,
    Text,
    alt,
    chars,
    lexeme,
    seq,
    without,
)
from xylem.services.executor.structured_output.regexes import ALL, search_node
from xylem.services.executor.structured_output.shapes import String

QUOTE = Text('"')
PLAIN = Chars(without(ALL, ((0, 31), (34, 34), (92, 92), (127, 159))))
_HEX, _NOT_D = chars((48, 57), (65, 70), (97, 102)), chars((48, 57), (65, 67), (69, 70), (97, 99), (101, 102))
_SHORT = {8: "b", 9: "t", 10: "n", 12: "f", 13: "r"}
# Control characters are escaped.
CHARACTER = alt((
    PLAIN,
    seq(Text("\\"), Chars(tuple((ord(c), ord(c)) for c in '"/\\bfnrt'))),
    seq(Text("\\u"), _NOT_D, _HEX, _HEX, _HEX),
    seq(Text("\\u"), chars((68, 68), (100, 100)), chars((48, 55)), _HEX, _HEX),
))  # fmt: skip
ASCII = Chars(((32, 126),))  # of these, all dialects say the same about \\w, \\s and the like


def json_string(string: String) -> Node:
    """Returns the strings of a shape; lengths in characters. Raises GrammarFailed for an unsupported pattern."""
    if string.most is not None and string.most < string.least:
        return NOTHING
    needed = [search_node(pattern) for pattern in string.patterns]
    needed += [search_node(f"^(?:{FORMATS[name]})$") for name in string.formats if name in FORMATS]
    if not needed and not string.refused and not string.refused_patterns:
        return lexeme(seq(QUOTE, Repeat(CHARACTER, string.least, string.most), QUOTE))
    if string.least or string.most is not None or not needed:
        needed.append(Repeat(Chars(ALL), string.least, string.most))
    if string.refused_patterns:
        needed.append(Repeat(ASCII, 0, None))
    if string.refused:
        needed.append(any_text_but(string.refused))
    refused = [quote_json(search_node(pattern)) for pattern in string.refused_patterns]
    return lexeme(*map(quote_json, needed), none_of=refused)


def any_text_but(texts: Iterable[str], ranges: Ranges = ALL) -> Node:
    """Returns all texts of some characters but these: it follows them as a tree and leaves it somewhere."""
    rests: dict[str, list[str]] = {}
    for text in set(texts):
        rests.setdefault(text[:1], []).append(text[1:])
    heads = sorted(head for head in rests if head)
    other = seq(Chars(without(ranges, tuple((ord(h), ord(h)) for h in heads))), Repeat(Chars(ranges), 0, None))
    deeper = [seq(Text(head), any_text_but(rests[head], ranges)) for head in heads]
    return alt([*([] if "" in rests else [EMPTY]), other, *deeper])


def any_key(names: Iterable[str], patterns: Iterable[str], strings: Iterable[String]) -> Node:
    """Returns the keys but these names and those that match a pattern; all of `strings` hold for them."""
    keys = String(refused_patterns=tuple(patterns))
    for string in strings:
        keys = keys.intersect(string)
    plain = quote_json(any_text_but(names, PLAIN.ranges))
    if keys == String():
        return lexeme(plain)
    node = json_string(keys)
    return lexeme(plain, *node.all_of, none_of=node.none_of) if isinstance(node, Lexeme) else node


def quote_json(node: Node) -> Node:
    """Wraps a node over characters into a JSON string."""
    return seq(QUOTE, escaped(node), QUOTE)


def escaped(node: Node) -> Node:
    """Returns a regular node with each character as a JSON string spells it."""
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
        case _:
            raise AssertionError("a pattern is regular")


def _escape(point: int) -> str:
    return f"\\{_SHORT[point]}" if point in _SHORT else f"\\u{point:04x}" if point < 32 else "\\" + chr(point)
