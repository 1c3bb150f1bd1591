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


def calls(schema: Any, parser: str = "hermes", *, strict: bool = False) -> str:
    tool = {"type": "function", "function": {"name": "book", "parameters": schema, "strict": strict}}
    return forced_calls(choose(tool_call_parser=parser), [tool], name=None, at_most_one=True)


def test_arguments_are_valid(writer: Writer) -> None:
    grammar = writer.compile("structural_tag", calls(SCHEMA))
    for _ in range(20):
        document = writer.write(grammar)
        assert document is not None
        call = json.loads(document.decode().removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
        jsonschema.validate(call["arguments"], SCHEMA, format_checker=jsonschema.FormatChecker())


# What a tool's argument may ask that no grammar can promise.
UNUSUAL: list[Any] = [
    {"not": {}},
    {
        "type": "string",
        "pattern": r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
    },
    {"type": "string", "pattern": r"^\p{L}+$"},
    {"type": "string", "pattern": r"(?<=a)b"},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "object", "unevaluatedProperties": False},
    {"$anchor": "here", "$ref": "#here"},
    {"$ref": "https://example.org/other.json"},
    {"type": "array", "contains": {"type": "integer"}, "minContains": 2},
    {"type": "file"},
    {"$dynamicRef": "#node"},
    7,
]
each_unusual = pytest.mark.parametrize("unusual", UNUSUAL, ids=lambda schema: json.dumps(schema)[:30])


@each_unusual
def test_one_unusual_argument_may_be_anything_and_the_others_keep_their_promises(writer: Writer, unusual: Any) -> None:
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "odd": unusual}}
    kept = {**SCHEMA, "additionalProperties": True}
    grammar = writer.compile("structural_tag", calls(schema))
    for _ in range(5):
        document = writer.write(grammar)
        if document is not None:
            call = json.loads(document.decode().removeprefix("<tool_call>\n").removesuffix("\n</tool_call>"))
            jsonschema.validate(call["arguments"], kept)


@each_unusual
@pytest.mark.parametrize("parser", ["qwen3_coder", "pythonic", "glm45"])
def test_unusual_arguments_in_other_styles(writer: Writer, unusual: Any, parser: str) -> None:
    writer.compile("structural_tag", calls({"type": "object", "properties": {"odd": unusual}}, parser))


@pytest.mark.parametrize(
    "schema",
    [
        {**SCHEMA, "unevaluatedProperties": False},
        {"not": {}},
        {"type": "object", "properties": {"n": SCHEMA["properties"]["n"]}, "$dynamicRef": "#x"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "odd"}}},
        {"type": "object", "dependentSchemas": {"a": {"unevaluatedProperties": False}}},
    ],
)
def test_arguments_that_are_unusual_as_a_whole_are_an_object(writer: Writer, schema: Any) -> None:
    writer.compile("structural_tag", calls(schema))


@pytest.mark.parametrize("parser", ["hermes", "qwen3_coder", "pythonic"])
@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({**SCHEMA, "unevaluatedProperties": False}, "parameters: unevaluatedProperties"),
        ({"type": "object", "properties": {"odd": {"pattern": r"(?!a)b"}}}, "parameters.properties.odd: "),
        (
            {"type": "object", "properties": {"in": {"type": "object", "properties": {"odd": {"type": "file"}}}}},
            "parameters.properties.in.properties.odd: ",
        ),
    ],
)
def test_a_strict_tool_is_refused_with_its_name_and_the_place(
    writer: Writer, parser: str, schema: Any, place: str
) -> None:
    if parser != "pythonic":
        with pytest.raises(GrammarFailed, match=f"tool 'book' is strict, but of {place}"):
            writer.compile("structural_tag", calls(schema, parser, strict=True))
    elif "unevaluatedProperties" not in schema:
        with pytest.raises(GrammarFailed, match="tool 'book' is strict"):
            writer.compile("structural_tag", calls(schema, parser, strict=True))


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
