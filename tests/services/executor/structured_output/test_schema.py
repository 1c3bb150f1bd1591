"""What is written under a schema is valid under it, and what can't be promised is refused by name."""

import json
import random
import re
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.eval_schemas import Writer, judge
from xylem.services.executor.structured_output import GrammarFailed
from xylem.services.executor.structured_output.json_grammar import json_rules, read_schema
from xylem.services.executor.structured_output.nodes import Rules

CARD = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}

SCHEMAS: dict[str, Any] = {
    "anything": {},
    "object": {"type": "object"},
    "closed": {**CARD, "required": ["a"], "additionalProperties": False},
    "open": {**CARD, "additionalProperties": {"type": "boolean"}},
    "required but unnamed": {"type": "object", "required": ["x", "y"]},
    "names": {"type": "object", "propertyNames": {"pattern": "^[a-c]{2}$"}, "minProperties": 1},
    "counted members": {**CARD, "minProperties": 1, "maxProperties": 1},
    "pattern of names": {"type": "object", "patternProperties": {"^x[0-9]+$": {"type": "null"}}},
    "dependent": {**CARD, "dependentRequired": {"a": ["b"]}},
    "integers": {"type": "integer", "minimum": -12, "exclusiveMaximum": 207},
    "positive": {"type": "number", "exclusiveMinimum": 0},
    "unit": {"type": "number", "minimum": 0, "maximum": 1},
    "narrow": {"type": "number", "minimum": -0.25, "maximum": 0.5},
    "negative": {"type": "number", "minimum": -20.5, "exclusiveMaximum": -3},
    "fives": {"type": "integer", "multipleOf": 5},
    "sevens": {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 400},
    "hundreds": {"type": "integer", "multipleOf": 100},
    "cents": {"type": "number", "multipleOf": 0.01, "minimum": 0},
    "draft 4 bounds": {"type": "integer", "minimum": 3, "maximum": 5, "exclusiveMaximum": True,
                       "exclusiveMinimum": True, "$schema": "http://json-schema.org/draft-04/schema#"},
    "sevens without an end": {"type": "integer", "multipleOf": 7, "exclusiveMinimum": -21},
    "quarters": {"type": "number", "multipleOf": 0.25, "minimum": -1, "exclusiveMaximum": 2.5},
    "quarters without an end": {"type": "number", "multipleOf": 0.25, "maximum": 1.1},
    "not one number": {"type": "integer", "minimum": 3, "maximum": 6, "not": {"const": 5}},
    "not some numbers": {"type": "number", "minimum": 0, "maximum": 1, "not": {"enum": [0.5, 1, 0]}},
    "not some strings": {"type": "string", "maxLength": 2, "not": {"enum": ["", "a", "\""]}},
    "not a pattern": {"type": "string", "maxLength": 3, "not": {"pattern": "[a-y]|\\s"}},
    "not some of all": {"not": {"enum": [1, "a", None, True]}},
    "pattern and format": {"type": "string", "pattern": "^1", "format": "date"},
    "two patterns": {"allOf": [{"type": "string", "pattern": "^[a-c]+$"}, {"pattern": "bb"}]},
    "two patterns of names": {"type": "object", "patternProperties": {"^a": {"const": 1}, "b$": {"const": 2}},
                              "additionalProperties": {"const": 3}, "properties": {"a": {"const": 1}}},
    "tiny bound": {"type": "number", "minimum": 1e-300, "maximum": 1e-290},
    "large bound": {"type": "number", "minimum": 1e290, "maximum": 1e300},
    "counted": {"type": "string", "minLength": 2, "maxLength": 5},
    "least": {"type": "string", "minLength": 3},
    "pattern": {"type": "string", "pattern": r"^[a-z\"\\]+\d{2}$"},
    "searched": {"type": "string", "pattern": "ab|^c"},
    "pattern and length": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "minLength": 3, "maxLength": 6},
    "enum": {"enum": [1, "two", None, True, {"three": [3]}, "\"\n\u00e9"]},
    "enum and type": {"type": "string", "enum": [1, "1"]},
    "const": {"const": {"a": 1}},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    "tuple": {"type": "array", "prefixItems": [{"type": "null"}, {"type": "boolean"}], "items": False},
    "tuple with more": {"prefixItems": [{"type": "null"}], "items": {"type": "string"}, "type": "array", "minItems": 3},
    "contains": {"type": "array", "contains": {"const": 7}, "maxItems": 3},
    "unique": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 2},
    "any of": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
    "one of, overlapping": {"oneOf": [{"type": "integer", "minimum": 5}, {"type": "integer", "maximum": 9}]},
    "one of, required": {**CARD, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "one of, told apart": {"oneOf": [
        {"type": "object", "properties": {"k": {"const": k}, "v": v}, "required": ["k", "v"]}
        for k, v in (("i", {"type": "integer"}), ("s", {"type": "string"}))]},
    "all of": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 8}]},
    "all of objects": {"allOf": [CARD, {"properties": {"a": {"maximum": 3}, "c": {"type": "null"}},
                                         "required": ["a"]}]},
    "not": {"type": ["string", "integer"], "not": {"type": "string"}},
    "if": {**CARD, "required": ["a"], "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}},
    "recursive": {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}},
                  "$ref": "#/$defs/n"},
    "lonely ref": {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"s": {"type": "string"}},
                   "properties": {"x": {"$ref": "#/definitions/s", "type": "integer"}}, "required": ["x"],
                   "type": "object"},
    **{f: {"type": "string", "format": f} for f in (
        "date", "time", "date-time", "email", "ipv4", "ipv6", "uuid", "uri", "hostname", "regex", "json-pointer")},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_written_is_valid(writer: Writer, name: str) -> None:
    grammar = writer.compile("json_schema", json.dumps(SCHEMAS[name]))
    verdict = judge(SCHEMAS[name])
    written = [document for _ in range(12) if (document := writer.write(grammar)) is not None]
    assert written
    for document in written:
        assert verdict(document.decode()) == "", document.decode()


def test_any_object_is_an_object(writer: Writer) -> None:
    grammar = writer.compile("json_object", "")
    documents = [document for _ in range(20) if (document := writer.write(grammar)) is not None]
    assert documents
    assert all(isinstance(json.loads(document), dict) for document in documents)


REFUSED: list[tuple[Any, str]] = [
    ({"unevaluatedProperties": False}, "unevaluatedProperties"),
    ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
    ({"type": "array", "contains": {"type": "null"}, "minContains": 2}, "minContains"),
    ({"type": "integer", "multipleOf": 7, "minimum": 1e16}, "multipleOf 7"),
    ({"type": "integer", "multipleOf": 7, "not": {"const": 14}}, "multipleOf 7 beside not"),
    ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ({"type": "string", "pattern": r"(a)\1"}, r"\1"),
    ({"type": "string", "pattern": "a(^b)"}, "anchor"),
    ({"type": "string", "pattern": "^a", "format": "date"}, "no JSON document"),
    ({"type": "object", "not": {"const": {}}}, "not is not supported"),
    ({"$ref": "https://example.com/a.json"}, "outside"),
    ({"$ref": "#/$defs/none"}, "points to nothing"),
    ({"$ref": "#"}, "only to itself"),
    ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "no JSON document"),
    ({"type": "integer", "minimum": 3, "maximum": 2}, "no JSON document"),
    (False, "no JSON document"),
    ({"type": "strnig"}, "type 'strnig'"),
    ({"not": {"type": "string", "pattern": "a"}, "type": "string", "oneOf": 3}, "oneOf must be a list"),
    ({"type": "string", "not": {"format": "date"}}, "not is not supported"),
    ({"minimum": 1e999}, "no JSON"),
    ({"\0": 1}, "U+0000"),
    ({"minLength": -1}, "minLength"),
    ([], "a schema must be"),
]


@pytest.mark.parametrize(("schema", "named"), REFUSED)
def test_what_cannot_be_promised_is_refused_by_name(schema: Any, named: str) -> None:
    with pytest.raises(GrammarFailed, match=re.escape(named)):
        json_rules(Rules(), read_schema(json.dumps(schema)))


def _schemas() -> st.SearchStrategy[Any]:
    bound = st.integers(-30, 30)
    leaves = st.one_of(
        st.sampled_from([True, {}, {"type": "null"}, {"type": "boolean"}, {"const": 3}, {"enum": ["a", 1, None]}]),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["integer", "number"])}, optional={"minimum": bound, "exclusiveMaximum": bound}
        ),
        st.fixed_dictionaries(
            {"type": st.just("string")}, optional={"minLength": st.integers(0, 3), "maxLength": st.integers(0, 5)}
        ),
        st.sampled_from(["^a+b?$", "[0-9]", "^(x|yz){2}$"]).map(lambda p: {"type": "string", "pattern": p}),
    )

    def more(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        names = st.sampled_from(["a", "ab", "b"])
        return st.one_of(
            st.fixed_dictionaries(
                {"type": st.just("object"), "properties": st.dictionaries(names, inner, max_size=3)},
                optional={
                    "required": st.lists(names, unique=True, max_size=2),
                    "additionalProperties": inner | st.booleans(),
                    "minProperties": st.integers(0, 2),
                    "maxProperties": st.integers(0, 3),
                    "patternProperties": st.dictionaries(st.sampled_from(["^b", "^z"]), inner, max_size=1),
                },
            ),
            st.fixed_dictionaries(
                {"type": st.just("array")},
                optional={
                    "items": inner, "minItems": st.integers(0, 2), "maxItems": st.integers(0, 3),
                    "prefixItems": st.lists(inner, min_size=1, max_size=2), "contains": inner,
                },
            ),
            st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
            st.fixed_dictionaries({"not": inner}),
            st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        )  # fmt: skip

    return st.recursive(leaves, more, max_leaves=6)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(schema=_schemas(), seed=st.integers(0, 1000))
def test_made_up_schemas(writer: Writer, schema: Any, seed: int) -> None:
    writer.draw = random.Random(seed)
    try:
        grammar = writer.compile("json_schema", json.dumps(schema))
    except GrammarFailed:
        return
    verdict = judge(schema)
    for _ in range(2):
        document = writer.write(grammar, 300)
        assert document is None or verdict(document.decode()) == "", document.decode()


@pytest.mark.parametrize("name", ["date", "time", "date-time"])
def test_times_exist(writer: Writer, name: str) -> None:
    read = {"date": date.fromisoformat, "time": time.fromisoformat, "date-time": datetime.fromisoformat}[name]
    grammar = writer.compile("json_schema", json.dumps({"type": "string", "format": name}))
    for _ in range(20):
        document = writer.write(grammar)
        assert document is not None
        assert read(json.loads(document))
