"""A small algebra of grammars: regular nodes over characters, and rules over lexemes.

Text, Chars, Seq, Alt and Repeat over characters are regular: a `Lexeme` holds them. A `Rule` and what is made of rules
and lexemes is not, for values lie within values. `lark_text` writes both for llguidance.
"""

from collections.abc import Iterable
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each range, in order, without overlap."""

LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of these ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Seq:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Alt:
    """One of these; of none, nothing can be made at all."""

    options: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """most None: any number."""

    node: "Node"
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Lexeme:
    """Texts that all of `all_of` match and none of `none_of`, each of which is regular."""

    all_of: "tuple[Node, ...]"
    none_of: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True)
class Until:
    """Any text up to the first `end`, which belongs to it; without any of `excludes` before that."""

    end: str
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedSchema:
    """Holds a JSON schema for llguidance's own compiler, as text: of multiples, for which there is no regular node."""

    schema: str


@dataclass(frozen=True, slots=True)
class Rule:
    name: str


Node = Text | Chars | Seq | Alt | Repeat | Lexeme | Until | EmbeddedSchema | Rule

EMPTY = Text("")
NOTHING = Alt(())


def seq(*parts: Node) -> Node:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Seq) else (part,)) if inner != EMPTY]
    return flat[0] if len(flat) == 1 else Seq(tuple(flat)) if flat else EMPTY


def alt(options: Iterable[Node]) -> Node:
    distinct = tuple(dict.fromkeys(options))
    return distinct[0] if len(distinct) == 1 else Alt(distinct)


def maybe(node: Node) -> Node:
    return alt((EMPTY, node))


def lexeme(*all_of: Node, none_of: Iterable[Node] = ()) -> Lexeme:
    return Lexeme(tuple(dict.fromkeys(all_of)), tuple(dict.fromkeys(none_of)))


def chars(*ranges: tuple[int, int]) -> Chars:
    return Chars(united(ranges))


def united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return tuple(out)


def without(ranges: Ranges, taken: Ranges) -> Ranges:
    """Returns the code points of `ranges` that are not in `taken`."""
    out = []
    for first, last in ranges:
        at = first
        for low, high in taken:
            if high < at or low > last:
                continue
            if low > at:
                out.append((at, low - 1))
            at = high + 1
        if at <= last:
            out.append((at, last))
    return tuple(out)


class Rules:
    """The rules of one grammar, by name."""

    def __init__(self) -> None:
        self.bodies: dict[str, Node] = {}

    def reserve(self) -> str:
        """Names a rule whose body comes later: rules may refer to themselves."""
        name = f"r{len(self.bodies)}"
        self.bodies[name] = NOTHING
        return name

    def add(self, body: Node) -> Rule:
        name = self.reserve()
        self.bodies[name] = body
        return Rule(name)

    def pruned(self, root: Node) -> tuple[Node, dict[str, Node]]:
        """Returns root and the rules that it reaches, without what no finite text matches; NOTHING if none does."""
        alive = self._alive()
        kept = prune(root, alive)
        bodies: dict[str, Node] = {}
        waiting = [kept]
        while waiting:
            for name in rule_names(waiting.pop()):
                if name not in bodies:
                    bodies[name] = prune(self.bodies[name], alive)
                    waiting.append(bodies[name])
        return kept, bodies

    def _alive(self) -> set[str]:
        """Returns the rules that some finite text matches: each is looked at again when one that it names is found."""
        users: dict[str, list[str]] = {}
        for name, body in self.bodies.items():
            for used in rule_names(body):
                users.setdefault(used, []).append(name)
        alive: set[str] = set()
        waiting = list(self.bodies)
        while waiting:
            name = waiting.pop()
            if name not in alive and prune(self.bodies[name], alive) != NOTHING:
                alive.add(name)
                waiting += users.get(name, [])
        return alive


def prune(node: Node, alive: set[str]) -> Node:
    """Returns the node without options that need a rule which is not alive."""
    match node:
        case Rule(name):
            return node if name in alive else NOTHING
        case Seq(parts):
            pruned = [prune(part, alive) for part in parts]
            return NOTHING if NOTHING in pruned else seq(*pruned)
        case Alt(options):
            return alt(kept for option in options if (kept := prune(option, alive)) != NOTHING)
        case Repeat(inner, least, most):
            kept = prune(inner, alive)
            if kept == NOTHING:
                return NOTHING if least else EMPTY
            return Repeat(kept, least, most)
        case Chars(()):
            return NOTHING
        case Lexeme(all_of, none_of):
            pruned = [prune(part, alive) for part in all_of]
            refused = [kept for part in none_of if (kept := prune(part, alive)) != NOTHING]
            return NOTHING if NOTHING in pruned else Lexeme(tuple(pruned), tuple(refused))
        case _:
            return node


def rule_names(node: Node) -> Iterable[str]:
    """Yields the rules that a node names."""
    match node:
        case Rule(name):
            yield name
        case Seq(nodes) | Alt(nodes):
            for inner in nodes:
                yield from rule_names(inner)
        case Repeat(inner, _, _):
            yield from rule_names(inner)
