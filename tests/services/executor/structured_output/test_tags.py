"""A schema within a structural tag, such as that of a tool's arguments, promises what it does alone."""

import json
from typing import Any

import jsonschema
import pytest

from benchmarks.eval_schemas import Writer
from xylem.services.executor.structured_output import GrammarFailed
from xylem.services.gateway.generation.tools import FunctionTool, Tools
from xylem.services.gateway.output_parsers import choose, forced_calls
from xylem.shared.protocol import Grammar

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 17}, "to": {"type": "string", "format": "date"}},
    "required": ["n", "to"],
    "additionalProperties": False,
}


def calls(schema: Any, parser: str = "hermes") -> str:
    tool = {"type": "function", "function": {"name": "book", "parameters": schema}}
    return forced_calls(choose(tool_call_parser=parser), [tool], name=None, at_most_one=True)


def test_arguments_are_valid(writer: Writer) -> None:
    grammar = writer.compile("structural_tag", calls(SCHEMA))
    for _ in range(20):
        document = writer.write(grammar)
        assert document is not None
        call = json.loads(document.decode().removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
        jsonschema.validate(call["arguments"], SCHEMA, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("parser", ["hermes", "qwen3_coder"])
def test_what_can_not_be_promised_is_refused(writer: Writer, parser: str) -> None:
    with pytest.raises(GrammarFailed, match="unevaluatedProperties"):
        writer.compile("structural_tag", calls({**SCHEMA, "unevaluatedProperties": False}, parser))


def test_a_call_or_a_document(writer: Writer) -> None:
    tools = Tools([FunctionTool("book", {"name": "book", "parameters": SCHEMA})], parallel=False)
    document = Grammar("json_schema", json.dumps(SCHEMA))
    grammar = writer.compile("structural_tag", tools.or_document(choose(tool_call_parser="hermes"), document).text)
    starts = set()
    for _ in range(30):
        written = writer.write(grammar)
        assert written is not None
        starts.add(written[:1])
        if written.startswith(b"{"):
            jsonschema.validate(json.loads(written), SCHEMA)
    assert starts == {b"{", b"<"}


def test_tags_that_are_no_json(writer: Writer) -> None:
    with pytest.raises(GrammarFailed, match="no JSON"):
        writer.compile("structural_tag", "{")
