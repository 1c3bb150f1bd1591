"""The tools of a response: functions, namespaces of them, free-form tools, and those that nobody runs here.

A free-form tool takes a text instead of JSON. To the model it is a function with one argument, `input`.
"""

from dataclasses import dataclass, field

import msgspec

from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, one_of, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

# Tools that OpenAI's servers run. The model does not hear of them, since nobody would run them.
HOSTED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "tool_search", "programmatic_")

CHOICES = ("none", "auto", "required")
MAX_NAME = 64

_FUNCTION_KEYS = ("type", "name", "description", "parameters", "strict", "defer_loading", "output_schema")


@dataclass(frozen=True, slots=True)
class ResponseTools:
    """Knows the tools of one response by the names under which the model calls them.

    functions: as chat completions have them. free_form: names of tools whose input is a text. spaces: the namespace
    and own name of each tool that has one. left_out: types of the tools that would have to be run here.
    """

    functions: list[Json] = field(default_factory=list)
    free_form: set[str] = field(default_factory=set)
    spaces: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, value: Json) -> "ResponseTools":
        """Reads the field `tools`. Raises InvalidRequest that names the tool that is wrong."""
        tools = cls()
        for i, tool in enumerate(sequence("tools", value or [])):
            tools._add(f"tools[{i}]", mapping(f"tools[{i}]", tool, "a tool"), "")
        return tools

    def _add(self, where: str, tool: JsonObject, space: str) -> None:
        kind = tool.get("type")
        if type(kind) is str and kind.startswith(HOSTED):
            self.left_out.append(kind[:80])
            return
        if kind == "namespace" and not space:
            only_keys(where, tool, ("type", "name", "description", "tools"))
            inner = text(f"{where}.name", tool.get("name"))
            for i, each in enumerate(sequence(f"{where}.tools", tool.get("tools"))):
                self._add(f"{where}.tools[{i}]", mapping(f"{where}.tools[{i}]", each, "a tool"), inner)
            return
        if kind not in ("function", "custom"):
            raise InvalidRequest(
                f"{where}.type {str(kind)[:80]!r} is not supported; tools are of type function, custom or namespace",
                param=f"{where}.type",
            )
        own = text(f"{where}.name", tool.get("name"))
        name = flat_name(own, space)
        if space:
            self.spaces[name] = (space, own)
        if kind == "custom":
            self.free_form.add(name)
        function = _free_form(where, tool) if kind == "custom" else _function(where, tool)
        self.functions.append({"type": "function", "function": {"name": name, **function}})


def flat_name(name: str, space: str | None) -> str:
    """Returns the name by which the model calls a tool of a namespace; a bare one where both are too long."""
    both = f"{space}__{name}"
    return both if space and len(both) <= MAX_NAME else name


def _function(where: str, tool: JsonObject) -> JsonObject:
    only_keys(where, tool, _FUNCTION_KEYS)
    return {key: tool[key] for key in ("description", "parameters", "strict") if tool.get(key) is not None}


def _free_form(where: str, tool: JsonObject) -> JsonObject:
    """The function that stands for a free-form tool. A grammar is told to the model; a pattern binds its argument."""
    only_keys(where, tool, ("type", "name", "description", "format", "defer_loading"))
    form = mapping(f"{where}.format", tool.get("format") or {"type": "text"}, "an object with a type")
    about = text(f"{where}.description", tool.get("description") or "")
    argument: JsonObject = {"type": "string"}
    if one_of(f"{where}.format.type", form.get("type"), ("text", "grammar")) == "grammar":
        syntax = one_of(f"{where}.format.syntax", form.get("syntax"), ("lark", "regex"))
        definition = text(f"{where}.format.definition", form.get("definition"))
        about = f"{about}\nThe input matches this {syntax} grammar:\n{definition}".strip()
        if syntax == "regex":
            argument["pattern"] = f"^(?:{definition})$"
    parameters: JsonObject = {"type": "object", "properties": {"input": argument}, "required": ["input"]}
    return {"description": about, "parameters": parameters} if about else {"parameters": parameters}


def input_of(arguments: str) -> str:
    """Returns the text for a free-form tool; whatever the model wrote, where it is no object with `input`."""
    try:
        given = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments
    said = given.get("input") if isinstance(given, dict) else None
    return said if isinstance(said, str) else arguments


def chat_choice(choice: Json) -> Json:
    """Returns `tool_choice` as chat completions have it. Raises InvalidRequest."""
    if type(choice) is str and choice in CHOICES:
        return choice
    kind = choice.get("type") if type(choice) is dict else None
    if type(choice) is not dict or kind not in ("function", "custom", "allowed_tools"):
        raise InvalidRequest(
            f"tool_choice must be {', '.join(CHOICES)} or an object of type function, custom or allowed_tools",
            param="tool_choice",
        )
    if kind == "allowed_tools":
        allowed = sequence("tool_choice.tools", choice.get("tools"))
        named: list[Json] = [{"name": _chosen_name(f"tool_choice.tools[{i}]", each)} for i, each in enumerate(allowed)]
        return {"type": kind, "mode": choice.get("mode"), "tools": named}
    return {"type": "function", "function": {"name": _chosen_name("tool_choice", choice)}}


def _chosen_name(where: str, value: Json) -> str:
    choice = mapping(where, value, "an object with a name")
    space = choice.get("namespace")
    return flat_name(text(f"{where}.name", choice.get("name")), space if type(space) is str else None)
