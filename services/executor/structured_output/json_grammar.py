"""The grammar, in EBNF, of the JSON documents that satisfy a schema.

White space is bounded, since a model could else emit blanks for ever: in each gap nothing, one blank, or one line end
with an indentation of at most MOST_INDENT blanks; none before a comma or a colon.
"""

import json
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.nodes import (
    EMPTY,
    NOTHING,
    Node,
    Repeat,
    Rule,
    Rules,
    Text,
    alt,
    chars,
    maybe,
    seq,
)
from xylem.services.executor.structured_output.numbers import json_integer, json_number
from xylem.services.executor.structured_output.schema import Schemas
from xylem.services.executor.structured_output.shapes import (
    Array,
    Literal,
    Number,
    Object,
    Schema,
    Shape,
    String,
    all_of,
)
from xylem.services.executor.structured_output.strings import (
    LONGEST_COUNTED,
    any_key_but,
    json_string,
    pattern_matches,
    quote_json,
)

MOST_INDENT = 16
MOST_RULES = 20_000
GAP = alt((EMPTY, Text(" "), seq(Text("\n"), Repeat(chars((32, 32)), 0, MOST_INDENT))))


def schema_to_ebnf(text: str) -> str:
    """Writes the grammar of a JSON schema. Raises GrammarFailed for an invalid or unsupported schema."""
    try:
        schema = json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise GrammarFailed(f"the schema is no JSON: {error}") from None
    try:
        document = _Document(schema)
        written = document.rules.to_ebnf(document.value(schema))
    except RecursionError:
        raise GrammarFailed("the schema is nested too deeply") from None
    if written is None:
        raise GrammarFailed("no JSON document can satisfy this schema")
    return written


def any_object_ebnf() -> str:
    """Writes the grammar of any JSON object."""
    return schema_to_ebnf('{"type": "object"}')


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


class _Document:
    def __init__(self, root: Schema) -> None:
        self.rules = Rules()
        self._schemas = Schemas(root)
        self._known: dict[str, Rule] = {}
        self._gap = self.rules.add(GAP)
        self._comma = seq(Text(","), self._gap)

    def value(self, schema: Schema) -> Node:
        """Returns the rule for the values of a schema; each schema has one, however often it is met."""
        key = json.dumps(schema)
        if key not in self._known:
            if len(self.rules.bodies) > MOST_RULES:
                raise GrammarFailed("the schema is too large")
            name = self.rules.reserve()
            self._known[key] = Rule(name)
            self.rules.bodies[name] = alt(self._shape(shape) for shape in self._schemas.shapes(schema))
        return self._known[key]

    def _shape(self, shape: Shape) -> Node:
        match shape:
            case Literal(value):
                return self._literal(value)
            case Number(bounds, multiple):
                return json_integer(bounds) if multiple == 1 else json_number(bounds, multiple)
            case String(least, most, patterns, formats):
                return json_string(patterns, formats, least, most)
            case Array():
                return self._array(shape)
            case Object():
                return self._object(shape)

    def _literal(self, value: Any) -> Node:
        match value:
            case list():
                return self._bracketed("[", self._listed([self._literal(v) for v in value], len(value)), "]")
            case dict():
                members = [seq(_key(k), Text(":"), self._gap, self._literal(v)) for k, v in value.items()]
                return self._bracketed("{", self._listed(members, len(members)), "}")
            case _:
                return Text(json.dumps(value, ensure_ascii=False))

    def _bracketed(self, opening: str, inner: Node, closing: str) -> Node:
        return seq(Text(opening), self._gap, inner, self._gap, Text(closing))

    def _listed(self, items: list[Node], least: int, more: Node | None = None, most: int | None = None) -> Node:
        """Items in this order, those from `least` on only as far as wanted, then any number of `more`, up to `most`."""
        if most is not None:
            if most < least:
                return NOTHING
            items = items[:most]
        node: Node = EMPTY
        if more is not None and (most is None or most > len(items)):
            low, high = max(least - len(items), 0), None if most is None else most - len(items)
            if low > LONGEST_COUNTED:
                raise GrammarFailed(f"minItems above {LONGEST_COUNTED} is not supported")
            high = None if high is None else min(high, max(low, LONGEST_COUNTED))
            if items:
                node = Repeat(seq(self._comma, more), low, high)
            else:
                first = 0 if low == 0 else low - 1
                node = seq(more, Repeat(seq(self._comma, more), first, None if high is None else high - 1))
                node = node if low else maybe(node)
        elif least > len(items):
            return NOTHING
        for index in reversed(range(len(items))):
            node = seq(*([self._comma] if index else []), items[index], node)
            if index >= least:
                node = maybe(node)
        return node

    def _array(self, shape: Array) -> Node:
        if shape.unique and (shape.most is None or shape.most > 1):
            return self._unique(shape)
        # What must be contained comes first: one place for it is enough.
        prefix = [shape.item(i) for i in range(max(len(shape.prefix), len(shape.contains)))]
        for index, wanted in enumerate(shape.contains):
            prefix[index] = all_of(prefix[index], wanted)
        least = max(shape.least, len(shape.contains))
        rest = shape.rest
        if rest is None and (not shape.prefix or least > len(prefix)):
            rest = True
        more = None if rest is None or not self._schemas.shapes(rest) else self.value(rest)
        items = [self.value(schema) for schema in prefix]
        return self._bracketed("[", self._listed(items, least, more, shape.most), "]")

    def _unique(self, shape: Array) -> Node:
        """Arrays without equal items: those of few listed values, in the order in which they are listed."""
        shapes = self._schemas.shapes(shape.item(0))
        values = [s.value for s in shapes if isinstance(s, Literal)]
        if shape.prefix or shape.contains or len(values) != len(shapes) or len(values) > 64:
            raise GrammarFailed("uniqueItems is only supported for arrays of an enum's values")
        items = [(self._literal(value), False) for value in values]
        return self._bracketed("[", self._chosen(items, None, shape.least, shape.most), "]")

    def _object(self, shape: Object) -> Node:
        names = list(dict.fromkeys([n for members in shape.members for n in members.named] + list(shape.required)))
        members: list[tuple[Node, bool]] = []
        for name in names:
            schema = shape.member(name)
            allowed = self._schemas.shapes(schema) and all(self._schemas.admits(s, name) for s in shape.names)
            if allowed:
                members.append((seq(_key(name), Text(":"), self._gap, self.value(schema)), name in shape.required))
            elif name in shape.required:
                return NOTHING
        more = self._unnamed(shape, names)
        return self._bracketed("{", self._chosen(members, more, shape.least, shape.most), "}")

    def _unnamed(self, shape: Object, names: list[str]) -> Node | None:
        """Members beyond those with a name; None for none."""
        patterns = {p for members in shape.members for p in members.patterns}
        rests = [members.rest for members in shape.members]
        if patterns:
            # One pattern that no name matches: its members then differ from all others. The rest stays out.
            if len(patterns) > 1 or any(pattern_matches(p, name) for p in patterns for name in names) or shape.names:
                return None
            (pattern,) = patterns
            schema = all_of(
                *(s for members in shape.members for s in _of_pattern(members.patterns, members.rest, pattern))
            )
            key = json_string([pattern], [], 0, None)
        elif any(rest is not None for rest in rests) or not any(
            inner is not False for members in shape.members for inner in members.named.values()
        ):
            schema = all_of(*(rest for rest in rests if rest is not None))
            if shape.names:
                if names:
                    return None
                key = self.value(all_of({"type": "string"}, *shape.names))
            else:
                key = quote_json(any_key_but(names)) if names else json_string([], [], 0, None)
        else:
            return None
        if not self._schemas.shapes(schema):
            return None
        return seq(self.rules.add(key), Text(":"), self._gap, self.value(schema))

    def _chosen(self, items: list[tuple[Node, bool]], more: Node | None, least: int, most: int | None) -> Node:
        """Some of these items in this order, each with whether it must be there; then any number of `more`.

        Of `more` one counts towards `least`, since two of them may have the same name; all count towards `most`.
        """
        needed = sum(must for _, must in items)
        if least > max(needed, 1) and more is not None and least > len(items):
            raise GrammarFailed(f"minProperties {least} is not supported beside so few named properties")
        if most is not None and most > LONGEST_COUNTED:
            most = LONGEST_COUNTED
        top = max(1, least if least > needed else 0, 0 if most is None else most)
        known: dict[tuple[int, int], Node] = {}
        for index in reversed(range(len(items) + 1)):
            for count in range(min(index, top) + 1):
                known[index, count] = self._choice(items, more, index, count, least, most, top, known)
        return known[0, 0]

    def _choice(
        self,
        items: list[tuple[Node, bool]],
        more: Node | None,
        index: int,
        count: int,
        least: int,
        most: int | None,
        top: int,
        known: dict[tuple[int, int], Node],
    ) -> Node:
        """Returns what may follow if `count` of the items before `index` (`top`: or more) have been written."""
        if index == len(items):
            options: list[Node] = [EMPTY] if count >= min(least, top) else []
            room = None if most is None else most - count
            if more is not None and count + 1 >= min(least, top) and (room is None or room > 0):
                again = Repeat(seq(self._comma, more), 0, None if room is None else room - 1)
                options.append(seq(*([self._comma] if count else []), more, again))
            return alt(options)
        item, must = items[index]
        options = []
        if most is None or count < most:
            options.append(seq(*([self._comma] if count else []), item, known[index + 1, min(count + 1, top)]))
        if not must:
            options.append(known[index + 1, count])
        return self.rules.add(alt(options))


def _of_pattern(patterns: dict[str, Schema], rest: Schema | None, pattern: str) -> list[Schema]:
    """Holds what one schema says about members whose name matches the one pattern."""
    if pattern in patterns:
        return [patterns[pattern]]
    return [] if rest is None else [rest]


def _key(name: str) -> Node:
    return Text(json.dumps(name, ensure_ascii=False))
