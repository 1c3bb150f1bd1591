"""The text of a grammar in llguidance's dialect of Lark."""

import json
from collections.abc import Iterable

from xylem.services.executor.structured_output.nodes import (
    EMPTY,
    NOTHING,
    Alt,
    Chars,
    EmbeddedSchema,
    Lexeme,
    Node,
    Repeat,
    Rule,
    Rules,
    Seq,
    Text,
    Until,
)

ANY_TEXT = "/(?s:.*)/"


def to_lark(rules: Rules, root: Node) -> str | None:
    """Writes the grammar of `root`; None when no finite text matches it."""
    kept, bodies = rules.pruned(root)
    if kept == NOTHING:
        return None
    writer = _Writer()
    lines = [f"start: {writer.expression(kept)}"]
    lines += [f"{name}: {writer.expression(body)}" for name, body in bodies.items()]
    return "\n".join([*lines, *writer.lines]) + "\n"


def lexeme_to_lark(lexeme: Lexeme) -> str:
    """Writes a lexeme as an expression over regular expressions."""
    parts = [f"/{to_regex(part)}/" for part in lexeme.all_of]
    parts += [f"~/{to_regex(part)}/" for part in lexeme.none_of]
    return " & ".join(parts)


def to_regex(node: Node) -> str:
    """Writes a regular node as a regular expression between slashes."""
    match node:
        case Text(text):
            return "".join(map(_literal, text))
        case Chars(ranges):
            return "[" + "".join(_range(first, last) for first, last in ranges) + "]"
        case Seq(parts):
            return "".join(map(to_regex, parts))
        case Alt((_, *_) as options):
            return "(?:" + "|".join(map(to_regex, options)) + ")"
        case Repeat(inner, least, most):
            return f"(?:{to_regex(inner)}){_count(least, most)}"
        case _:
            raise AssertionError(f"no regular expression matches {type(node).__name__}")


class _Writer:
    """Writes rule bodies; each lexeme becomes a terminal of its own, and each stretch of any text a rule."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[Node, str] = {}

    def expression(self, node: Node) -> str:
        match node:
            case Text(text):
                return json.dumps(text, ensure_ascii=False)
            case Chars():
                return self._terminal(Lexeme((node,)))
            case Lexeme():
                return self._terminal(node)
            case Until():
                return self._until(node)
            case EmbeddedSchema(schema):
                return f"%json {schema}"
            case Rule(name):
                return name
            case Seq(parts):
                return "(" + " ".join(map(self.expression, parts)) + ")"
            case Alt(options):
                written = [self.expression(option) for option in options if option != EMPTY]
                return f"({' | '.join(written)})" + ("?" if EMPTY in options else "")
            case Repeat(inner, least, most):
                return f"({self.expression(inner)}){_count(least, most)}"

    def _terminal(self, lexeme: Lexeme) -> str:
        if lexeme not in self._names:
            name = self._names[lexeme] = f"T{len(self._names)}"
            self.lines.append(f"{name}: {lexeme_to_lark(lexeme)}")
        return self._names[lexeme]

    def _until(self, node: Until) -> str:
        if node not in self._names:
            name = self._names[node] = f"u{len(self._names)}"
            text = f"U{name[1:]}"
            self.lines.append(f"{name}[suffix={json.dumps(node.end, ensure_ascii=False)}]: {text}")
            self.lines.append(f"{text}: {ANY_TEXT}{_excluding(node.excludes)}")
        return self._names[node]


def _excluding(texts: Iterable[str]) -> str:
    return "".join(f" & ~/(?s:.*){to_regex(Text(text))}(?s:.*)/" for text in texts)


def _count(least: int, most: int | None) -> str:
    if most is None:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    if least == most:
        return f"{{{least}}}"
    return "?" if (least, most) == (0, 1) else f"{{{least},{most}}}"


def _literal(char: str) -> str:
    return char if char.isascii() and (char.isalnum() or char in ' "_') else f"\\x{{{ord(char):x}}}"


def _range(first: int, last: int) -> str:
    return _literal(chr(first)) if first == last else f"{_literal(chr(first))}-{_literal(chr(last))}"
