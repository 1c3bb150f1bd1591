"""A small algebra of grammars, and its text in xgrammar's EBNF.

Repetitions of a single character class or rule without an upper bound become stars. Counted ones are written out as
nested options: xgrammar resolves those when it compiles, whereas its own {m,n} over more than one class leaves most
tokens to be tried at every step (measured: 150 ms a mask with 30,000 tokens, against 0.05 ms).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from xylem.services.executor.structured_output.failures import GrammarFailed

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each range, in order, without overlap."""

LAST = 0x10FFFF
LONGEST_NESTED = 256  # options within options: xgrammar's parser goes no deeper than some hundreds


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
class Rule:
    name: str


Node = Text | Chars | Seq | Alt | Repeat | Rule

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

    def to_ebnf(self, root: Node) -> str | None:
        """Writes the grammar in EBNF; None when no text matches it (a schema that demands itself without end)."""
        alive = self._alive()
        pruned = _pruned(root, alive)
        if pruned == NOTHING:
            return None
        bodies = {name: _pruned(self.bodies[name], alive) for name in alive}
        lines, waiting, seen = [f"root ::= {to_ebnf(pruned)}"], [pruned], set[str]()
        while waiting:
            for name in _names(waiting.pop()):
                if name not in seen:
                    seen.add(name)
                    lines.append(f"{name} ::= {to_ebnf(bodies[name])}")
                    waiting.append(bodies[name])
        return "\n".join(lines) + "\n"

    def _alive(self) -> set[str]:
        """Returns the rules that some finite text matches."""
        alive: set[str] = set()
        while more := {n for n, body in self.bodies.items() if n not in alive and _pruned(body, alive) != NOTHING}:
            alive |= more
        return alive


def _pruned(node: Node, alive: set[str]) -> Node:
    match node:
        case Rule(name):
            return node if name in alive else NOTHING
        case Seq(parts):
            pruned = [_pruned(part, alive) for part in parts]
            return NOTHING if NOTHING in pruned else seq(*pruned)
        case Alt(options):
            return alt(kept for option in options if (kept := _pruned(option, alive)) != NOTHING)
        case Repeat(inner, least, most):
            kept = _pruned(inner, alive)
            if kept == NOTHING:
                return NOTHING if least else EMPTY
            return Repeat(kept, least, most)
        case Chars(()):
            return NOTHING
        case _:
            return node


def _names(node: Node) -> Iterable[str]:
    match node:
        case Rule(name):
            yield name
        case Seq(nodes) | Alt(nodes):
            for inner in nodes:
                yield from _names(inner)
        case Repeat(inner, _, _):
            yield from _names(inner)


def to_ebnf(node: Node) -> str:
    """Writes a node in EBNF."""
    match node:
        case Text(text):
            return '"' + "".join(_quoted(char) for char in text) + '"'
        case Chars(ranges):
            return "[" + "".join(_range(first, last) for first, last in ranges) + "]"
        case Seq(parts):
            return "(" + " ".join(to_ebnf(part) for part in parts) + ")"
        case Alt(options):
            return "(" + " | ".join(to_ebnf(option) for option in options) + ")"
        case Repeat(inner, least, most):
            if isinstance(inner, Chars) and (least if most is None else most) > LONGEST_NESTED:
                return f"{to_ebnf(inner)}{{{least},{'' if most is None else most}}}"
            if (most or least) - (least if most else 0) > LONGEST_NESTED:
                raise GrammarFailed(f"more than {LONGEST_NESTED} repetitions of a group are not supported")
            return _repeated(to_ebnf(inner), least, most)
        case Rule(name):
            return name


def _repeated(inner: str, least: int, most: int | None) -> str:
    begin = " ".join([inner] * least)
    if most is None:
        return f"({begin} ({inner})*)"
    if least == most:
        return f"({begin})" if least else '""'
    # (x (x (x)?)?)?
    options = most - least
    return f"({begin} " + f"({inner} " * (options - 1) + f"({inner})?" + ")?" * (options - 1) + ")"


def _quoted(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if " " <= char <= "~" else f"\\U{ord(char):08X}"


def _range(first: int, last: int) -> str:
    return _member(first) if first == last else f"{_member(first)}-{_member(last)}"


def _member(point: int) -> str:
    return chr(point) if chr(point).isascii() and chr(point).isalnum() else f"\\U{point:08X}"
