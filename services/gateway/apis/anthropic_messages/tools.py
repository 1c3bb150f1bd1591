"""The tools of a body of /v1/messages, as chat completions have them."""

import logging
from collections.abc import Collection

from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import mapping, only_keys, sequence, text
from xylem.shared.runtime.errors import InvalidRequest

log = logging.getLogger(__name__)

# Tools that Anthropic's servers run. Nobody runs them here: the model does not hear of them.
HOSTED = ("web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_")

# Marks that say nothing to a model: what is cached, how arguments are sent, who may call.
_CARRIED = ("type", "cache_control", "strict", "eager_input_streaming", "allowed_callers")
_READ = ("name", "description", "input_schema", "defer_loading", "input_examples")


def read_tools(value: Json, *, shown: Collection[str], forced: Json = None) -> list[JsonObject]:
    """Returns the tools that the model hears of. Raises InvalidRequest.

    One with defer_loading is among them when `shown` or `forced` has its name: a search has found it before.
    """
    tools = []
    for i, each in enumerate(sequence("tools", value or [])):
        where = f"tools[{i}]"
        tool = mapping(where, each, "a tool with a name and an input_schema")
        kind = tool.get("type")
        if type(kind) is str and kind.startswith(HOSTED):
            log.warning("a tool of type %s was left out: it would have to be run here", kind[:80])
            continue
        read = _read_tool(where, tool)
        if not tool.get("defer_loading") or tool["name"] in shown or tool["name"] == forced:
            tools.append(read)
    return tools


def _read_tool(where: str, tool: JsonObject) -> JsonObject:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise InvalidRequest(
            f"{where}.type {str(kind)[:80]!r} is not supported; only tools of the client's own are",
            param=f"{where}.type",
        )
    only_keys(where, tool, (*_CARRIED, *_READ))
    schema = mapping(f"{where}.input_schema", tool.get("input_schema"), "a JSON schema")
    if tool.get("input_examples"):
        schema = {**schema, "examples": sequence(f"{where}.input_examples", tool["input_examples"])}
    function: JsonObject = {"name": text(f"{where}.name", tool.get("name")), "parameters": schema}
    function |= {key: tool[key] for key in ("description", "strict") if tool.get(key) is not None}
    return {"type": "function", "function": function}


def referenced_tools(messages: Json) -> set[str]:
    """Returns the names in blocks of type tool_reference, by which a client's search for tools tells what it found."""
    names = set()
    for message in messages if isinstance(messages, list) else []:
        for block in _blocks(message):
            names |= {str(each.get("tool_name")) for each in _blocks(block) if each.get("type") == "tool_reference"}
    return names


def _blocks(value: Json) -> list[JsonObject]:
    content = value.get("content") if isinstance(value, dict) else None
    return [each for each in content if isinstance(each, dict)] if isinstance(content, list) else []
