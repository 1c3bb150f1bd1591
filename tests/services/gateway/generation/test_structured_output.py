"""Every spelling of a grammar that clients use comes to the same grammar."""

import json
from typing import Any

import pytest

from xylem.services.gateway.generation.structured_output import grammar_of
from xylem.shared.protocol import Grammar
from xylem.shared.runtime.errors import InvalidRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
TEXT = json.dumps(SCHEMA, separators=(",", ":"))
TAG = {"type": "structural_tag", "format": {"type": "any_text"}}


def grammar(**values: Any) -> Grammar | None:
    return grammar_of(**values)


@pytest.mark.parametrize(
    ("values", "kind", "text", "param"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
            "json_schema",
            TEXT,
            "response_format.json_schema.schema",
        ),
        ({"response_format": {"type": "json_object"}}, "json_object", "", "response_format"),
        (
            {"response_format": {"type": "json_object", "schema": SCHEMA}},
            "json_schema",
            TEXT,
            "response_format.schema",
        ),
        ({"response_format": {"type": "regex", "pattern": "a+"}}, "regex", "a+", "response_format.pattern"),
        (
            {"response_format": {"type": "grammar", "grammar": 'root ::= "a"'}},
            "ebnf",
            'root ::= "a"',
            "response_format.grammar",
        ),
        ({"json_schema": TEXT}, "json_schema", TEXT, "json_schema"),
        ({"json_schema": SCHEMA}, "json_schema", TEXT, "json_schema"),
        ({"regex": "a+"}, "regex", "a+", "regex"),
        ({"ebnf": 'root ::= "a"'}, "ebnf", 'root ::= "a"', "ebnf"),
        ({"structured_outputs": {"json": SCHEMA}}, "json_schema", TEXT, "structured_outputs.json"),
        ({"structured_outputs": {"json": None, "regex": "a+"}}, "regex", "a+", "structured_outputs.regex"),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "choice", '["a","b"]', "structured_outputs.choice"),
        ({"structured_outputs": {"json_object": True}}, "json_object", "", "structured_outputs.json_object"),
        ({"guided_json": SCHEMA}, "json_schema", TEXT, "guided_json"),
        ({"guided_choice": ["a"]}, "choice", '["a"]', "guided_choice"),
        ({"guided_grammar": 'root ::= "a"'}, "ebnf", 'root ::= "a"', "guided_grammar"),
        ({"structural_tag": TAG}, "structural_tag", json.dumps(TAG, separators=(",", ":")), "structural_tag"),
        (
            {"response_format": TAG},
            "structural_tag",
            json.dumps(TAG, separators=(",", ":")),
            "response_format",
        ),
    ],
)
def test_spellings(values: dict[str, Any], kind: str, text: str, param: str) -> None:
    assert grammar(**values) == Grammar(kind, text, param=param)


def test_structural_tags_of_the_older_form() -> None:
    found = grammar(
        response_format={
            "type": "structural_tag",
            "structures": [{"begin": "<f>", "schema": SCHEMA, "end": "</f>"}],
            "triggers": ["<f"],
        }
    )
    assert found is not None
    tag = {"begin": "<f>", "content": {"type": "json_schema", "json_schema": SCHEMA}, "end": "</f>"}
    form = {"type": "triggered_tags", "triggers": ["<f"], "tags": [tag]}
    assert json.loads(found.text) == {"type": "structural_tag", "format": form}


@pytest.mark.parametrize(
    "values",
    [{}, {"response_format": {"type": "text"}}, {"structured_outputs": {}}, {"guided_choice": []}],
)
def test_no_grammar(values: dict[str, Any]) -> None:
    assert grammar(**values) is None


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.schema"),
        ({"response_format": {"type": "structural_tag", "structures": 1}}, "response_format"),
        (
            {"response_format": {"type": "structural_tag", "structures": [{}], "triggers": []}},
            "response_format.structures[0]",
        ),
        ({"json_schema": 1}, "json_schema"),
        ({"regex": ""}, "regex"),
        ({"regex": 5}, "regex"),
        ({"ebnf": ["x"]}, "ebnf"),
        ({"structural_tag": "{"}, "structural_tag"),
        ({"structural_tag": "[]"}, "structural_tag"),
        ({"structured_outputs": "x"}, "structured_outputs"),
        ({"structured_outputs": {"whitespace_pattern": " "}}, "structured_outputs.whitespace_pattern"),
        ({"guided_choice": ["a", 1]}, "guided_choice"),
        ({"guided_choice": [""]}, "guided_choice"),
        ({"regex": "a", "ebnf": 'root ::= "a"'}, "ebnf"),
    ],
)
def test_what_can_not_be_met_is_named(values: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        grammar(**values)
    assert caught.value.param == param
