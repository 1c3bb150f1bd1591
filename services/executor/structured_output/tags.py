"""Structural tags as rules, with schemas that keep the same promises as a schema alone.

Tags are xgrammar's way to say what an answer looks like around its documents. Forms that have no rule here (arguments
in XML styles, tokens by name, free text that nothing ends) are left to xgrammar, which has its own way to write
schemas; one that can't be promised is refused there, too.
"""

import json
from collections.abc import Mapping
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.json_grammar import json_rules
from xylem.services.executor.structured_output.nodes import (
    Chars,
    Node,
    Repeat,
    Rules,
    Text,
    Until,
    alt,
    lexeme,
    maybe,
    seq,
)
from xylem.services.executor.structured_output.regexes import ALL, fullmatch_node
from xylem.services.executor.structured_output.tool_schemas import loosen_schemas

Tag = dict[str, Any]
ANY_TEXT = Repeat(Chars(ALL), 0, None)


class _LeftToXgrammarError(Exception):
    """A form without a rule here."""


def read_tag(text: str) -> Tag:
    """Reads a tag; schemas of tools ask for no more than can be promised. Raises GrammarFailed."""
    try:
        tag = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GrammarFailed(f"the structural tag is no JSON: {error}") from None
    return loosen_schemas(tag, _check) if isinstance(tag, dict) else {}


def tag_rules(rules: Rules, tag: Tag) -> Node | None:
    """Adds the rules of a tag and returns their root; None for one that is left to xgrammar. Raises GrammarFailed."""
    try:
        return _Tags(rules).node(tag.get("format"))
    except _LeftToXgrammarError:
        _check_schemas(tag)
        return None


def _check(schema: Any) -> None:
    json_rules(Rules(), schema)


def _check_schemas(node: Any) -> None:
    match node:
        case {"type": "json_schema", "json_schema": schema}:
            _check(schema)
        case dict():
            for value in node.values():
                _check_schemas(value)
        case list():
            for value in node:
                _check_schemas(value)


class _Tags:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def node(self, form: Any) -> Node:
        match form:
            case {"type": "const_string", "value": str(value)}:
                return Text(value)
            case {"type": "json_schema", "json_schema": schema, **more} if _plain(more):
                return json_rules(self._rules, schema)
            case {"type": "regex", "pattern": str(pattern), **more} if not more:
                return lexeme(fullmatch_node(pattern))
            case {"type": "sequence", "elements": list(elements)}:
                return seq(*map(self.node, elements))
            case {"type": "or", "elements": list(elements)}:
                return alt(map(self.node, elements))
            case {"type": "optional", "content": content}:
                return maybe(self.node(content))
            case {"type": "plus", "content": content}:
                return Repeat(self.node(content), 1, None)
            case {"type": "star", "content": content}:
                return Repeat(self.node(content), 0, None)
            case {"type": "tag", "begin": str(begin)}:
                return seq(Text(begin), self._after_begin(form))
            case {"type": "tags_with_separator"}:
                return self._separated(form)
            case {"type": "triggered_tags"}:
                return self._triggered(form)
        raise _LeftToXgrammarError

    def _after_begin(self, tag: Tag) -> Node:
        match tag:
            case {"content": {"type": "any_text", **more}, "end": str(end)} if end and not more:
                return Until(end)
            case {"content": {"type": "any_text", "excludes": list(excludes), **more}, "end": str(end)} if not more:
                return Until(end, tuple(map(str, excludes)))
            case {"content": content, "end": str(end)}:
                return seq(self.node(content), Text(end))
        raise _LeftToXgrammarError

    def _separated(self, form: Tag) -> Node:
        match form:
            case {"tags": list(tags), "separator": str(separator)}:
                one = self._rules.add(alt(map(self.node, tags)))
                more = Repeat(seq(Text(separator), one), 0, None)
                calls = one if form.get("stop_after_first") else seq(one, more)
                return calls if form.get("at_least_one") else maybe(calls)
        raise _LeftToXgrammarError

    def _triggered(self, form: Tag) -> Node:
        """Free text up to a trigger, then the rest of one of its tags, and so on."""
        match form:
            case {"triggers": [_, *_] as triggers, "tags": list(tags), **more} if not more.get("excludes"):
                chunks = [self._chunk(trigger, triggers, tags) for trigger in triggers]
            case _:
                raise _LeftToXgrammarError
        chunk = self._rules.add(alt(chunks))
        if form.get("stop_after_first"):
            return chunk if form.get("at_least_one") else alt((chunk, _free(triggers)))
        some = Repeat(chunk, 1 if form.get("at_least_one") else 0, None)
        return seq(some, maybe(_free(triggers)))

    def _chunk(self, trigger: Any, triggers: list[Any], tags: list[Any]) -> Node:
        rests = []
        for tag in tags:
            match tag:
                case {"type": "tag", "begin": str(begin)} | {"begin": str(begin)}:
                    first = next((t for t in triggers if isinstance(t, str) and t and begin.startswith(t)), None)
                    if first is None:
                        raise _LeftToXgrammarError
                    if first == trigger:
                        rests.append(seq(Text(begin[len(first) :]), self._after_begin(tag)))
                case _:
                    raise _LeftToXgrammarError
        return seq(Until(str(trigger), tuple(t for t in triggers if t != trigger)), alt(rests))


def _plain(more: Mapping[Any, Any]) -> bool:
    """Whether a schema is written as plain JSON. White space is bounded in any case."""
    return more.get("style", "json") == "json" and more.keys() <= {"style", "max_whitespace_cnt"}


def _free(triggers: list[str]) -> Node:
    """Returns text without a trigger."""
    return lexeme(ANY_TEXT, none_of=[seq(ANY_TEXT, Text(trigger), ANY_TEXT) for trigger in triggers])
