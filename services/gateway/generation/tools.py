"""The tools of a request: which may be called, which must, and how calls are read and forced."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import regex

from xylem.services.gateway.fields.field import wrong
from xylem.services.gateway.output_parsers import Family, forced_calls, make_parser
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Delta, Parser
from xylem.shared.protocol import Grammar
from xylem.shared.runtime.errors import InvalidRequest

MAX_TOOLS = 128
NAME = regex.compile(r"[\w.-]{1,64}", regex.ASCII)


class OneCall:
    """A parser that lets one call through: parallel ones are not wanted."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def push(self, text: str) -> list[Delta]:
        return _without_later_calls(self._parser.push(text))

    def flush(self) -> list[Delta]:
        return _without_later_calls(self._parser.flush())


def _without_later_calls(deltas: list[Delta]) -> list[Delta]:
    return [delta for delta in deltas if not (isinstance(delta, CallBegun | CallArguments) and delta.index)]


@dataclass(frozen=True, slots=True)
class Tools:
    """What may be called. must: something of it has to be. name: it is this one."""

    definitions: list[dict[str, Any]] = field(default_factory=list)
    must: bool = False
    name: str | None = None
    parallel: bool = True

    def parser(self, family: Family, *, thinking: bool) -> Parser:
        """Reads one answer."""
        parser = make_parser(family, tools=self.definitions, thinking=thinking)
        return parser if self.parallel else OneCall(parser)

    def grammar(self, family: Family) -> Grammar:
        """Nothing but calls matches it. Raises InvalidRequest for a model that has no form of them."""
        return Grammar("structural_tag", self._calls(family, "tool_choice"), param="tools")

    def or_document(self, family: Family, document: Grammar) -> Grammar:
        """Calls match it, and a JSON document of the grammar. Raises InvalidRequest where that can't be said."""
        if document.kind not in ("json_schema", "json_object"):
            raise InvalidRequest(f"{document.param} leaves no room for calls of tools", param=document.param)
        try:
            schema = msgspec.json.decode(document.text) if document.text else {"type": "object"}
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"{document.param} is not valid JSON: {error}", param=document.param) from None
        calls = msgspec.json.decode(self._calls(family, "tools"))["format"]
        either = {"type": "or", "elements": [calls, {"type": "json_schema", "json_schema": schema}]}
        text = msgspec.json.encode({"type": "structural_tag", "format": either}).decode()
        return Grammar("structural_tag", text, param=document.param)

    def _calls(self, family: Family, param: str) -> str:
        # Who names a tool wants one call of it.
        one = not self.parallel or self.name is not None
        try:
            return forced_calls(family, self.definitions, name=self.name, at_most_one=one)
        except ValueError as error:
            raise InvalidRequest(f"{param}: {error}", param=param) from None


def read_tools(values: dict[str, Any]) -> Tools:
    """From the fields tools, tool_choice and parallel_tool_calls. Raises InvalidRequest."""
    definitions = _definitions(values["tools"])
    choice = values["tool_choice"]
    parallel = bool(values["parallel_tool_calls"])
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        definitions, choice = _allowed(definitions, choice)
    match choice:
        case None | "auto":
            return Tools(definitions, parallel=parallel)
        case "none":
            return Tools()
        case "required":
            if not definitions:
                raise InvalidRequest("tool_choice is required, but there are no tools", param="tool_choice")
            return Tools(definitions, must=True, parallel=parallel)
        case {"type": "function", "function": {"name": str() as name}} | {"type": "function", "name": str() as name}:
            if name not in names(definitions):
                raise InvalidRequest(f"tool_choice: there is no tool {name[:80]!r}", param="tool_choice")
            return Tools(definitions, must=True, name=name, parallel=parallel)
    raise wrong("tool_choice", '"none", "auto", "required" or a function', choice)


def names(definitions: list[dict[str, Any]]) -> list[str]:
    return [definition["function"]["name"] for definition in definitions]


def _allowed(definitions: list[dict[str, Any]], choice: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """Those that the choice allows, and its mode."""
    allowed = choice.get("allowed_tools", choice)
    where = "tool_choice.allowed_tools"
    if type(allowed) is not dict or type(allowed.get("tools")) is not list:
        raise wrong(where, "an object with mode and tools", allowed)
    if allowed.get("mode") not in ("auto", "required"):
        raise wrong(f"{where}.mode", '"auto" or "required"', allowed.get("mode"))
    wanted = {name for tool in allowed["tools"] if (name := _name_in(tool)) is not None}
    if missing := sorted(wanted - set(names(definitions))):
        raise InvalidRequest(f"{where}: there is no tool {missing[0][:80]!r}", param=f"{where}.tools")
    return [each for each in definitions if each["function"]["name"] in wanted], allowed["mode"]


def _name_in(tool: Any) -> str | None:
    function = tool.get("function", tool) if type(tool) is dict else None
    name = function.get("name") if type(function) is dict else None
    return name if type(name) is str else None


def _definitions(value: Any) -> list[dict[str, Any]]:
    """Tools in the shape of chat completions, and nothing in them that a client may have left null."""
    if value is None:
        return []
    if type(value) is not list:
        raise wrong("tools", "a list of tools", value)
    if len(value) > MAX_TOOLS:
        raise InvalidRequest(f"tools has {len(value)} tools; {MAX_TOOLS} are allowed", param="tools")
    definitions = [_definition(f"tools[{i}]", tool) for i, tool in enumerate(value)]
    known = names(definitions)
    if twice := next((name for name in known if known.count(name) > 1), None):
        raise InvalidRequest(f"tools: {twice!r} is there twice", param="tools")
    return definitions


def _definition(where: str, tool: Any) -> dict[str, Any]:
    if type(tool) is not dict:
        raise wrong(where, "an object with type and function", tool)
    if tool.get("type") != "function":
        raise wrong(f"{where}.type", '"function" (others are not supported)', tool.get("type"))
    function = tool.get("function")
    if type(function) is not dict:
        raise wrong(f"{where}.function", "an object with a name", function)
    name = function.get("name")
    if type(name) is not str or not NAME.fullmatch(name):
        raise wrong(f"{where}.function.name", "1 to 64 letters, digits, _, - and .", name)
    if type(function.get("description")) not in (str, type(None)):
        raise wrong(f"{where}.function.description", "a string", function["description"])
    if type(function.get("parameters")) not in (dict, type(None)):
        raise wrong(f"{where}.function.parameters", "a JSON schema", function["parameters"])
    return {"type": "function", "function": {key: item for key, item in function.items() if item is not None}}
