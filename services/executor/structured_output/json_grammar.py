"""The grammar of the JSON documents that satisfy a schema.

White space is bounded, since a model could else emit blanks for ever: in each gap nothing, one blank, or one line end
with an indentation of at most MOST_INDENT blanks; none before a comma or a colon.
"""

import json
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.lexeme_check import possible
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
    lexeme,
    maybe,
    seq,
)
from xylem.services.executor.structured_output.numbers import json_number
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
from xylem.services.executor.structured_output.strings import any_key, json_string

MOST_INDENT = 16
MOST_RULES = 20_000
MOST_MEMBERS = 500  # of one object: each is a rule within that of the one before
MOST_COUNTED_MEMBERS = 256  # each further one takes a rule for each property
GAP = maybe(lexeme(alt((Text(" "), seq(Text("\n"), Repeat(chars((32, 32)), 0, MOST_INDENT))))))


def json_rules(rules: Rules, schema: Schema) -> Node:
    """Adds the rules of a JSON schema and returns their root. Raises GrammarFailed for what is not supported."""
    document = _Document(schema, rules)
    try:
        root = document.value(schema)
    except RecursionError:
        raise GrammarFailed("the schema is nested too deeply") from None
    if rules.pruned(root)[0] == NOTHING:
        raise GrammarFailed(document.left_out or "no JSON document can satisfy this schema")
    return root


def read_schema(text: str) -> Schema:
    """Reads a schema from JSON. Raises GrammarFailed when it is none."""
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_plain_object)
    except (ValueError, RecursionError) as error:
        raise GrammarFailed(f"the schema is no JSON: {error}") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _plain_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The zero begins the keywords of negated schemas, which are none of a client's."""
    if any(key.startswith("\0") for key, _ in pairs):
        raise GrammarFailed("names that begin with U+0000 are not supported in a schema")
    return dict(pairs)


class _Document:
    def __init__(self, root: Schema, rules: Rules) -> None:
        self.rules = rules
        self._schemas = Schemas(root)
        self._known: dict[str, Rule] = {}
        self._gap = self.rules.add(GAP)
        self._comma = seq(Text(","), self._gap)

    @property
    def left_out(self) -> str:
        """Names what was approximated; empty when nothing was."""
        return self._schemas.left_out

    def value(self, schema: Schema) -> Node:
        """Returns the rule for the values of a schema; each schema has one, however often it is met."""
        key = json.dumps(schema)
        if key not in self._known:
            if len(self.rules.bodies) > MOST_RULES:
                raise GrammarFailed("the schema is too large")
            name = self.rules.reserve()
            self._known[key] = Rule(name)
            shapes = self._schemas.shapes(schema)
            # One lexeme for all literals: an enum may have thousands.
            texts = [
                _scalar(s.value) for s in shapes if isinstance(s, Literal) and not isinstance(s.value, list | dict)
            ]
            listed = [lexeme(alt(texts))] if texts else []
            others = [s for s in shapes if not isinstance(s, Literal) or isinstance(s.value, list | dict)]
            self.rules.bodies[name] = alt([*listed, *map(self._shape, others)])
        return self._known[key]

    def _shape(self, shape: Shape) -> Node:
        match shape:
            case Literal(value):
                return self._literal(value)
            case Number(bounds, multiple, refused):
                return possible(json_number(bounds, multiple, refused))
            case String():
                return possible(json_string(shape))
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
                return _scalar(value)

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
        if len(names) > MOST_MEMBERS:
            raise GrammarFailed(f"more than {MOST_MEMBERS} properties of one object are not supported")
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
        """Members beyond those with a name; None for none. Names that match two patterns stay out."""
        strings = self._key_strings(shape)
        if strings is None:
            return None
        patterns = list(dict.fromkeys(p for members in shape.members for p in members.patterns))
        classes = [
            (
                all_of(*(s for members in shape.members for s in _of_pattern(members.patterns, members.rest, pattern))),
                any_key(names, [p for p in patterns if p != pattern], [*strings, String(patterns=(pattern,))]),
            )
            for pattern in patterns
        ]
        rests = [members.rest for members in shape.members if members.rest is not None]
        named = any(inner is not False for members in shape.members for inner in members.named.values())
        if rests or not (named or patterns):
            classes.append((all_of(*rests), any_key(names, patterns, strings)))
        options = []
        for schema, key in classes:
            kept = possible(key) if self._schemas.shapes(schema) else NOTHING
            if kept != NOTHING:
                options.append(seq(self.rules.add(kept), Text(":"), self._gap, self.value(schema)))
        return alt(options) if options else None

    def _key_strings(self, shape: Object) -> list[String] | None:
        """Holds what `propertyNames` says; None where it allows listed names alone, or in several ways."""
        strings = []
        for schema in shape.names:
            of_names = [s for s in self._schemas.shapes(all_of({"type": "string"}, schema)) if isinstance(s, String)]
            if len(of_names) != 1:
                self._schemas.left_out = "propertyNames is not supported with a schema such as " + str(schema)[:100]
                return None
            strings += of_names
        return strings

    def _chosen(self, items: list[tuple[Node, bool]], more: Node | None, least: int, most: int | None) -> Node:
        """Some of these items in this order, each with whether it must be there; then any number of `more`.

        Of `more` one counts towards `least`, since two of them may have the same name; all count towards `most`.
        """
        needed = sum(must for _, must in items)
        if least > max(needed, 1) and more is not None and least > len(items):
            raise GrammarFailed(f"minProperties {least} is not supported beside so few named properties")
        if most is not None:
            most = None if more is None and most >= len(items) else min(most, MOST_COUNTED_MEMBERS)
        top = max(1, least if least > needed else 0, 0 if most is None else most)
        if len(items) * top > MOST_RULES:
            raise GrammarFailed("minProperties or maxProperties is not supported beside so many properties")
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


def _scalar(value: Any) -> Node:
    return Text(json.dumps(value, ensure_ascii=False))
