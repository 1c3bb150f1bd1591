"""Says whether any finite text matches a grammar in EBNF, as xgrammar writes a grammar that it has read."""

import re
from collections.abc import Callable

_LINE = re.compile(r"^(\S+) ::= (.*)$")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{(?P<least>\d+)[^}]*\}|\(=|[()|]|(?P<name>[^\s()|"\[{]+)')


def matches_some_text(written: str) -> bool:
    """Whether the rule `root` matches a text. written: str() of an xgrammar.Grammar."""
    rules: dict[str, list[re.Match[str]]] = {}
    for line in written.splitlines():
        if found := _LINE.match(line):
            rules[found[1]] = list(_TOKEN.finditer(found[2]))
    alive: set[str] = set()
    while more := {
        name for name, body in rules.items() if name not in alive and _Reader(body, alive.__contains__).reads_some()
    }:
        alive |= more
    return "root" in alive


class _Reader:
    """Evaluates one rule's body: whether it matches a text, given which rules do."""

    def __init__(self, body: list[re.Match[str]], is_alive: Callable[[str], bool]) -> None:
        self._body = [*body]
        self._at = 0
        self._is_alive = is_alive

    def reads_some(self) -> bool:
        """Evaluates alternatives up to a closing parenthesis or the end."""
        found = self._sequence()
        while self._peek() == "|":
            self._at += 1
            found |= self._sequence()
        return found

    def _sequence(self) -> bool:
        found = True
        while self._peek() not in ("", "|", ")"):
            found &= self._element()
        return found

    def _element(self) -> bool:
        token = self._body[self._at]
        self._at += 1
        found = True
        if token[0] in ("(", "(="):
            inner = self.reads_some()
            self._at += 1
            found = inner or token[0] == "(="
        elif token["name"]:
            found = self._is_alive(token["name"])
        if self._at < len(self._body) and (least := self._body[self._at]["least"]) is not None:
            self._at += 1
            found |= least == "0"
        return found

    def _peek(self) -> str:
        return self._body[self._at][0] if self._at < len(self._body) else ""
