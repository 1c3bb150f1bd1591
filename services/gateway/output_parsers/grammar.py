"""Grammars that force a model to call tools, in its family's own form: xgrammar's structural tags, as JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xylem.services.gateway.output_parsers.formats import (
    deepseek_v3,
    glm45,
    gpt_oss,
    hermes,
    kimi_k2,
    llama3_json,
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
    """Says how a format writes calls. call: one call, by its name and the schema of its arguments."""

    call: Callable[[str, Schema], Node]
    between: str
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
    calls: Node = {
        "type": "tags_with_separator",
        "tags": [form.call(function["name"], function.get("parameters") or NO_ARGUMENTS) for function in chosen],
        "separator": form.between,
        "at_least_one": True,
        "stop_after_first": at_most_one or form.only_one,
    }
    parts = [_text(form.before), calls, _text(form.after)]
    if family.format == "gpt_oss":
        parts.insert(0, _analysis())
    elements = [part for part in parts if part != _text("")]
    tag = {"type": "structural_tag", "format": {"type": "sequence", "elements": elements}}
    return json.dumps(tag, ensure_ascii=False)


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


def _kimi_k2(name: str, schema: Schema) -> Node:
    number = {"type": "regex", "pattern": "[0-9]{1,2}"}
    content = {"type": "sequence", "elements": [number, _text(kimi_k2.ARGUMENTS), _json(schema)]}
    return _tag(f"{kimi_k2.OPENING}{kimi_k2.PREFIX}{name}:", content, kimi_k2.CLOSING)


def _gpt_oss(name: str, schema: Schema) -> Node:
    # <|call|> is what the model ends with, as others do with the end of their turn, so no grammar names it.
    begin = f"{gpt_oss.CHANNEL}commentary to=functions.{name} {gpt_oss.CONSTRAIN}json{gpt_oss.MESSAGE}"
    return _tag(begin, _json(schema), "")


CALL_GRAMMARS: Mapping[str, CallGrammar] = {
    "hermes": CallGrammar(_hermes, "\n"),
    "qwen3_coder": CallGrammar(_qwen3_coder, "\n"),
    "llama3_json": CallGrammar(_llama3_json, f"{llama3_json.SEPARATOR} "),
    "pythonic": CallGrammar(python_call, ", ", before="[", after="]"),
    "mistral": CallGrammar(_mistral, ", ", before=f"{mistral.OPENING}[", after="]"),
    "mistral_v11": CallGrammar(_mistral_v11, ""),
    "deepseek_v3": CallGrammar(_deepseek_v3, "\n", before=deepseek_v3.SECTION, after=deepseek_v3.SECTION_END),
    "deepseek_v31": CallGrammar(_deepseek_v31, "", before=deepseek_v3.SECTION, after=deepseek_v3.SECTION_END),
    "glm45": CallGrammar(_glm45, "\n"),
    "kimi_k2": CallGrammar(_kimi_k2, "", before=kimi_k2.SECTION, after=kimi_k2.SECTION_END),
    "gpt_oss": CallGrammar(_gpt_oss, "", only_one=True),
}
