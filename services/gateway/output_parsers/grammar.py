"""Grammars that force a model to call tools, in its family's own form: xgrammar's structural tags, as JSON."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xylem.services.gateway.output_parsers.format_table import FORMATS
from xylem.services.gateway.output_parsers.formats import (
    cohere,
    deepseek_v3,
    deepseek_v32,
    gemma4,
    glm45,
    gpt_oss,
    hermes,
    kimi_k2,
    llama3_json,
    minimax_m2,
    mistral,
)
from xylem.services.gateway.output_parsers.formats import qwen3_coder as coder
from xylem.services.gateway.output_parsers.model_family import Family
from xylem.services.gateway.output_parsers.parser_buffer import Schema
from xylem.services.gateway.output_parsers.python_grammar import python_call

Node = dict[str, Any]

NO_ARGUMENTS: Schema = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class CallGrammar:
    """Says how a format writes calls.

    call: one call, by its name and the schema of its arguments. trigger: what calls in a text begin with; empty where
    an answer is either calls or text.
    """

    call: Callable[[str, Schema], Node]
    between: str
    trigger: str = ""
    before: str = ""
    after: str = ""
    # The token that ends a call ends the answer, too: there is never a second one.
    only_one: bool = False


def forced_calls(
    family: Family,
    tools: Sequence[Mapping[str, Any]],
    *,
    name: str | None,
    at_most_one: bool,
) -> str:
    """A structural tag that only calls of these tools match, and at least one of them.

    name: the one tool that may be called; any of them without. Raises ValueError for a model whose calls have no known
    form, and for a name that no tool has.
    """
    functions = [tool.get("function", tool) for tool in tools]
    chosen = [function for function in functions if name is None or function["name"] == name]
    if not chosen:
        raise ValueError(f"there is no tool {name!r}" if name else "there are no tools to call")
    form = CALL_GRAMMARS.get(family.format)
    if form is None:
        raise ValueError("this model's calls of tools have no known form, so it can't be made to call any")
    calls = _calls(form, chosen, at_most_one=at_most_one)
    return _structural_tag([_analysis(), *calls] if family.format == "gpt_oss" else calls)


def allowed_calls(family: Family, tools: Sequence[Mapping[str, Any]], *, at_most_one: bool) -> str | None:
    """A structural tag that matches any text, in which calls are those of these tools with arguments by their schemas.

    None for a model whose calls have no known form: what it writes is never a call.
    """
    form, markers = CALL_GRAMMARS.get(family.format), FORMATS[family.format].form
    if form is None:
        return None
    functions = [tool.get("function", tool) for tool in tools]
    if markers and markers.bare:
        # What does not begin as a call must stay text.
        text = {"type": "any_text", "excludes": list(markers.markers)}
        begin = {"type": "regex", "pattern": rf"[^\s{re.escape(markers.bare)}]"}
        elements = [_sequence(_calls(form, functions, at_most_one=at_most_one)), _sequence([begin, text])]
        return _structural_tag([{"type": "optional", "content": {"type": "or", "elements": elements}}])
    tags = [_marked(form.call, function) for function in functions]
    if form.before:
        calls = _separated(form, tags, at_most_one=at_most_one)
        tags = [_tag(form.before, calls, form.after)]
    free: Node = {"type": "triggered_tags", "triggers": [form.trigger], "tags": tags}
    if markers and not form.trigger.startswith(markers.opening):
        free["excludes"] = [markers.opening]  # a call without what belongs in front of it is read as one, too
    return _structural_tag([{**free, "stop_after_first": at_most_one or form.only_one}])


def _calls(form: "CallGrammar", functions: Sequence[Mapping[str, Any]], *, at_most_one: bool) -> list[Node]:
    """At least one call, with what stands before and after all of them."""
    tags = [_marked(form.call, function) for function in functions]
    parts = [_text(form.before), _separated(form, tags, at_most_one=at_most_one), _text(form.after)]
    return [part for part in parts if part != _text("")]


def _separated(form: "CallGrammar", tags: list[Node], *, at_most_one: bool) -> Node:
    return {
        "type": "tags_with_separator",
        "tags": tags,
        "separator": form.between,
        "at_least_one": True,
        "stop_after_first": at_most_one or form.only_one,
    }


def _marked(call: Callable[[str, Schema], Node], function: Mapping[str, Any]) -> Node:
    """A call, whose schemas say which tool they are of, and whether all that they ask must be promised."""
    marks = {"tool": function["name"], "strict": function.get("strict") is True}

    def mark(node: Any) -> Any:
        match node:
            case {"type": "json_schema"}:
                return {**node, **marks}
            case dict():
                return {key: mark(value) for key, value in node.items()}
            case list():
                return [mark(value) for value in node]
        return node

    marked: Node = mark(call(function["name"], function.get("parameters") or NO_ARGUMENTS))
    return marked


def _structural_tag(elements: list[Node]) -> str:
    return json.dumps({"type": "structural_tag", "format": _sequence(elements)}, ensure_ascii=False)


def _sequence(elements: list[Node]) -> Node:
    return {"type": "sequence", "elements": elements}


def _text(value: str) -> Node:
    return {"type": "const_string", "value": value}


def _tag(begin: str, content: Node, end: str) -> Node:
    return {"type": "tag", "begin": begin, "content": content, "end": end}


def _json(schema: Schema) -> Node:
    # With white space at will a weak model writes nothing else.
    return {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": 1}


def _styled(schema: Schema, style: str) -> Node:
    return {"type": "json_schema", "json_schema": schema, "style": style}


def _analysis() -> Node:
    begin = f"{gpt_oss.CHANNEL}analysis{gpt_oss.MESSAGE}"
    return {"type": "optional", "content": _tag(begin, {"type": "any_text"}, f"<|end|>{gpt_oss.START}assistant")}


def _hermes(name: str, schema: Schema) -> Node:
    begin = f'{hermes.OPENING}\n{{"name": {json.dumps(name)}, "arguments": '
    return _tag(begin, _json(schema), f"}}\n{hermes.CLOSING}")


def _qwen3_coder(name: str, schema: Schema) -> Node:
    begin = f"{coder.SECTION}\n{coder.OPENING}{name}>\n"
    return _tag(begin, _styled(schema, "qwen_xml"), f"{coder.CLOSING}\n{coder.SECTION_END}")


def _llama3_json(name: str, schema: Schema) -> Node:
    return _tag(f'{{"name": {json.dumps(name)}, "parameters": ', _json(schema), "}")


def _mistral(name: str, schema: Schema) -> Node:
    return _tag(f'{{"name": {json.dumps(name)}, "arguments": ', _json(schema), "}")


def _mistral_v11(name: str, schema: Schema) -> Node:
    return _tag(f"{mistral.OPENING}{name}{mistral.ARGUMENTS}", _json(schema), "")


def _deepseek_v3(name: str, schema: Schema) -> Node:
    begin = f"{deepseek_v3.OPENING}{deepseek_v3.KIND}{deepseek_v3.SEPARATOR}{name}\n{deepseek_v3.BLOCK}\n"
    return _tag(begin, _json(schema), f"\n{deepseek_v3.BLOCK_END}{deepseek_v3.CLOSING}")


def _deepseek_v31(name: str, schema: Schema) -> Node:
    return _tag(f"{deepseek_v3.OPENING}{name}{deepseek_v3.SEPARATOR}", _json(schema), deepseek_v3.CLOSING)


def _glm45(name: str, schema: Schema) -> Node:
    return _tag(f"{glm45.OPENING}{name}\n", _styled(schema, "glm_xml"), glm45.CLOSING)


def _glm47(name: str, schema: Schema) -> Node:
    return _tag(f"{glm45.OPENING}{name}", _styled(schema, "glm_xml"), glm45.CLOSING)


def _deepseek_v32(name: str, schema: Schema) -> Node:
    tags = deepseek_v32.TAGS
    return _tag(f'{tags.opening}{name}">\n', _styled(schema, "deepseek_xml"), f"{tags.closing}\n")


def _minimax_m2(name: str, schema: Schema) -> Node:
    tags = minimax_m2.TAGS
    return _tag(f'{tags.opening}{name}">\n', _styled(schema, "minimax_xml"), f"{tags.closing}\n")


def _gemma4(name: str, schema: Schema) -> Node:
    arguments = {**_styled(schema, "gemma"), "excludes": [gemma4.OPENING, gemma4.CLOSING]}
    return _tag(f"{gemma4.OPENING}{gemma4.CALL}{name}", arguments, gemma4.CLOSING)


def _cohere(name: str, schema: Schema) -> Node:
    number = {"type": "regex", "pattern": "[0-9]{1,2}"}
    before = _text(f'", "{cohere.NAME}": {json.dumps(name)}, "parameters": ')
    return _tag('{"tool_call_id": "', _sequence([number, before, _json(schema)]), "}")


def _kimi_k2(name: str, schema: Schema) -> Node:
    number = {"type": "regex", "pattern": "[0-9]{1,2}"}
    content = {"type": "sequence", "elements": [number, _text(kimi_k2.ARGUMENTS), _json(schema)]}
    return _tag(f"{kimi_k2.OPENING}{kimi_k2.PREFIX}{name}:", content, kimi_k2.CLOSING)


def _gpt_oss(name: str, schema: Schema) -> Node:
    # <|call|> is what the model ends with, as others do with the end of their turn, so no grammar names it.
    begin = f"{gpt_oss.CHANNEL}commentary to=functions.{name} {gpt_oss.CONSTRAIN}json{gpt_oss.MESSAGE}"
    return _tag(begin, _json(schema), "")


def _sectioned(
    call: Callable[[str, Schema], Node], between: str, before: str, after: str, trigger: str = ""
) -> CallGrammar:
    return CallGrammar(call, between, trigger or before, before, after)


_DEEPSEEK = (deepseek_v3.SECTION, deepseek_v3.SECTION_END)

CALL_GRAMMARS: Mapping[str, CallGrammar] = {
    "hermes": CallGrammar(_hermes, "\n", hermes.OPENING),
    "qwen3_coder": CallGrammar(_qwen3_coder, "\n", coder.SECTION),
    "llama3_json": CallGrammar(_llama3_json, f"{llama3_json.SEPARATOR} "),
    "pythonic": CallGrammar(python_call, ", ", before="[", after="]"),
    "mistral": _sectioned(_mistral, ", ", f"{mistral.OPENING}[", "]", mistral.OPENING),
    "mistral_v11": CallGrammar(_mistral_v11, "", mistral.OPENING),
    "deepseek_v3": _sectioned(_deepseek_v3, "\n", *_DEEPSEEK),
    "deepseek_v31": _sectioned(_deepseek_v31, "", *_DEEPSEEK),
    "deepseek_v32": _sectioned(_deepseek_v32, "", f"{deepseek_v32.SECTION}\n", deepseek_v32.SECTION_END),
    "glm45": CallGrammar(_glm45, "\n", glm45.OPENING),
    "glm47": CallGrammar(_glm47, "", glm45.OPENING),
    "minimax_m2": _sectioned(_minimax_m2, "", f"{minimax_m2.SECTION}\n", minimax_m2.SECTION_END),
    "gemma4": CallGrammar(_gemma4, "", gemma4.OPENING),
    "cohere": _sectioned(_cohere, ", ", f"{cohere.OPENING}[", f"]{cohere.CLOSING}", cohere.OPENING),
    "kimi_k2": _sectioned(_kimi_k2, "", kimi_k2.SECTION, kimi_k2.SECTION_END),
    "gpt_oss": CallGrammar(_gpt_oss, "", f"{gpt_oss.CHANNEL}commentary to=", only_one=True),
}
