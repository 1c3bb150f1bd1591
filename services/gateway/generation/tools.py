"""The tools of a request: which may be called, which must, and how calls are read and forced."""

from dataclasses import dataclass, field

import msgspec
import regex

from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong
from xylem.services.gateway.output_parsers import Family, allowed_calls, forced_calls, make_parser
from xylem.services.gateway.output_parsers.deltas import CallArguments, CallBegun, Delta, Parser
from xylem.shared.protocol import Grammar
from xylem.shared.runtime.errors import InvalidRequest

MAX_TOOLS = 128
NAME = regex.compile(r"[\w.-]{1,64}", regex.ASCII)


class OneCall:
    """A parser that lets one call through: parallel ones are not wanted."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser

    def push_text(self, text: str) -> list[Delta]:
        return _without_later_calls(self._parser.push_text(text))

    def flush_text(self, *, is_cut: bool = False) -> list[Delta]:
        return _without_later_calls(self._parser.flush_text(is_cut=is_cut))


def _without_later_calls(deltas: list[Delta]) -> list[Delta]:
    return [delta for delta in deltas if not (isinstance(delta, CallBegun | CallArguments) and delta.index)]


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function that may be called. function: its definition, in which the name stands, too."""

    name: str
    function: JsonObject


@dataclass(frozen=True, slots=True)
class Tools:
    """The functions that may be called. must: one of them has to be. name: it is this one."""

    functions: list[FunctionTool] = field(default_factory=list)
    must: bool = False
    name: str | None = None
    parallel: bool = True

    @property
    def definitions(self) -> list[JsonObject]:
        """The tools in the shape of chat completions."""
        return [{"type": "function", "function": tool.function} for tool in self.functions]

    def parser(self, family: Family, *, thinking: bool, prefix: str) -> Parser:
        """Builds the parser of one answer, whose beginning `prefix` the prompt ends with."""
        parser = make_parser(family, tools=self.definitions, thinking=thinking, prefix=prefix)
        return parser if self.parallel else OneCall(parser)

    def grammar(self, family: Family) -> Grammar:
        """Builds a grammar that only calls match. Raises InvalidRequest for a model that has no form of them."""
        return Grammar("structural_tag", self._calls(family, "tool_choice"), param="tools")

    def strict_grammar(self, family: Family) -> Grammar | None:
        """Builds a grammar that matches text with calls, if their arguments must be as a schema says; None if not."""
        if not any(tool.function.get("strict") for tool in self.functions):
            return None
        tag = allowed_calls(family, self.definitions, at_most_one=not self.parallel)
        return None if tag is None else Grammar("structural_tag", tag, param="tools")

    def or_document(self, family: Family, document: Grammar) -> Grammar:
        """Builds a grammar that matches calls, or what `document` does. Raises InvalidRequest where there is none."""
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


def read_tools(tools: Json, tool_choice: Json, *, parallel: bool) -> Tools:
    """Reads the fields of these names. parallel: an answer may have several calls. Raises InvalidRequest."""
    functions, choice = _functions(tools), tool_choice
    if type(choice) is dict and choice.get("type") == "allowed_tools":
        functions, choice = _allowed(functions, choice)
    match choice:
        case None | "auto":
            return Tools(functions, parallel=parallel)
        case "none":
            return Tools()
        case "required":
            if not functions:
                raise InvalidRequest("tool_choice is required, but there are no tools", param="tool_choice")
            return Tools(functions, must=True, parallel=parallel)
        case {"type": "function", "function": {"name": str() as name}} | {"type": "function", "name": str() as name}:
            if name not in _names(functions):
                raise InvalidRequest(f"tool_choice: there is no tool {name[:80]!r}", param="tool_choice")
            return Tools(functions, must=True, name=name, parallel=parallel)
    raise wrong("tool_choice", '"none", "auto", "required" or a function', choice)


def _names(functions: list[FunctionTool]) -> list[str]:
    return [tool.name for tool in functions]


def _allowed(functions: list[FunctionTool], choice: JsonObject) -> tuple[list[FunctionTool], Json]:
    """The functions that the choice allows, and its mode."""
    allowed = choice.get("allowed_tools", choice)
    where = "tool_choice.allowed_tools"
    tools = allowed.get("tools") if type(allowed) is dict else None
    if type(allowed) is not dict or type(tools) is not list:
        raise wrong(where, "an object with mode and tools", allowed)
    mode = allowed.get("mode")
    if mode not in ("auto", "required"):
        raise wrong(f"{where}.mode", '"auto" or "required"', mode)
    wanted = {name for tool in tools if (name := _name_in(tool)) is not None}
    if missing := sorted(wanted - set(_names(functions))):
        raise InvalidRequest(f"{where}: there is no tool {missing[0][:80]!r}", param=f"{where}.tools")
    return [each for each in functions if each.name in wanted], mode


def _name_in(tool: Json) -> str | None:
    function = tool.get("function", tool) if type(tool) is dict else None
    name = function.get("name") if type(function) is dict else None
    return name if type(name) is str else None


def _functions(value: Json) -> list[FunctionTool]:
    if value is None:
        return []
    if type(value) is not list:
        raise wrong("tools", "a list of tools", value)
    if len(value) > MAX_TOOLS:
        raise InvalidRequest(f"tools has {len(value)} tools; {MAX_TOOLS} are allowed", param="tools")
    functions = [_function(f"tools[{i}]", tool) for i, tool in enumerate(value)]
    known = _names(functions)
    if twice := next((name for name in known if known.count(name) > 1), None):
        raise InvalidRequest(f"tools: {twice!r} is there twice", param="tools")
    return functions


def _function(where: str, tool: Json) -> FunctionTool:
    """Without what a client may have left null."""
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
    if type(function.get("strict")) not in (bool, type(None)):
        raise wrong(f"{where}.function.strict", "true or false", function["strict"])
    return FunctionTool(name, {key: item for key, item in function.items() if item is not None})
