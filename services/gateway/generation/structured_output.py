"""Structured output: every spelling of it that clients use comes to one grammar."""

import msgspec

from xylem.services.gateway.fields.asks_nothing import asks_nothing
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import is_strings
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.protocol import Grammar
from xylem.shared.runtime.errors import InvalidRequest

_encoder = msgspec.json.Encoder()

# vLLM's names inside `structured_outputs`.
NESTED = {
    "json": "json_schema",
    "regex": "regex",
    "choice": "choice",
    "grammar": "ebnf",
    "structural_tag": "structural_tag",
}


def grammar_of(
    *,
    response_format: Json = None,
    json_schema: Json = None,
    regex: Json = None,
    ebnf: Json = None,
    structural_tag: Json = None,
    structured_outputs: Json = None,
    guided_json: Json = None,
    guided_regex: Json = None,
    guided_choice: Json = None,
    guided_grammar: Json = None,
) -> Grammar | None:
    """Returns the grammar that a body asks for in the fields of these names.

    Raises InvalidRequest for a value of the wrong type, and for two grammars.
    """
    nested = structured_outputs or {}
    if type(nested) is not dict:
        raise wrong("structured_outputs", "an object", nested)
    all_spellings = [
        _response_format(response_format),
        _grammar("json_schema", "json_schema", json_schema),
        _grammar("regex", "regex", regex),
        _grammar("ebnf", "ebnf", ebnf),
        _grammar("structural_tag", "structural_tag", structural_tag),
        _grammar("guided_json", "json_schema", guided_json),
        _grammar("guided_regex", "regex", guided_regex),
        _grammar("guided_choice", "choice", guided_choice),
        _grammar("guided_grammar", "ebnf", guided_grammar),
        *(_nested(name, value) for name, value in nested.items()),
    ]
    found = [grammar for grammar in all_spellings if grammar is not None]
    if len(found) > 1:
        raise InvalidRequest(
            f"{' and '.join(grammar.param for grammar in found)} are given; one of them can be met",
            param=found[1].param,
        )
    return found[0] if found else None


def _nested(name: str, value: Json) -> Grammar | None:
    """A field of structured_outputs."""
    param = f"structured_outputs.{name[:80]}"
    if name in NESTED:
        return _grammar(param, NESTED[name], value)
    if name == "json_object":
        return Grammar("json_object", param=param) if value else None
    if not asks_nothing(value):
        raise InvalidRequest(f"{param} is not supported yet; leave it out", param=param)
    return None


def _response_format(value: Json) -> Grammar | None:
    param = "response_format"
    if value is None:
        return None
    if type(value) is not dict:
        raise wrong(param, "an object with a type", value)
    match value.get("type"):
        case "text":
            return None
        case "json_object":
            # SGLang takes a schema here, too.
            return _grammar(f"{param}.schema", "json_schema", value.get("schema")) or Grammar(
                "json_object", param=param
            )
        case "json_schema":
            inner = value.get("json_schema")
            if type(inner) is not dict:
                raise wrong(f"{param}.json_schema", "an object with a schema", inner)
            schema = inner.get("schema")
            if schema is None:
                raise InvalidRequest(f"{param}.json_schema.schema is missing", param=f"{param}.json_schema.schema")
            return _grammar(f"{param}.json_schema.schema", "json_schema", schema)
        case "regex":
            return _grammar(f"{param}.pattern", "regex", value.get("pattern"))
        case "grammar" | "ebnf":
            return _grammar(f"{param}.grammar", "ebnf", value.get("grammar"))
        case "structural_tag":
            return _grammar(param, "structural_tag", value)
    kinds = "text, json_object, json_schema, regex, grammar or structural_tag"
    raise wrong(f"{param}.type", f"one of {kinds}", value.get("type"))


def _grammar(param: str, kind: str, value: Json) -> Grammar | None:
    if value is None or (kind == "choice" and value == []):
        return None
    match kind:
        case "json_schema":
            if type(value) not in (str, dict, bool):
                raise wrong(param, "a JSON schema", value)
            text = value if type(value) is str else _encoder.encode(value).decode()
        case "choice":
            if not is_strings(value) or not all(value):
                raise wrong(param, "a list of strings", value)
            text = _encoder.encode(value).decode()
        case "structural_tag":
            if type(value) not in (str, dict):
                raise wrong(param, "a structural tag", value)
            text = _structural_tag(param, value)
        case _:
            if type(value) is not str or not value:
                raise wrong(param, "a string that is not empty", value)
            text = value
    return Grammar(kind, text, param=param)


def _structural_tag(param: str, value: Json) -> str:
    """In xgrammar's present form; SGLang's older one lists structures and their triggers."""
    if type(value) is str:
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"{param} is not valid JSON: {error}", param=param) from None
    if type(value) is not dict:
        raise wrong(param, "an object", value)
    if "structures" in value:
        structures, triggers = value["structures"], value.get("triggers")
        if type(structures) is not list or type(triggers) is not list:
            raise wrong(param, "an object with lists of structures and triggers", value)
        tags: list[Json] = [_old_tag(f"{param}.structures[{i}]", structure) for i, structure in enumerate(structures)]
        value = {"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": triggers, "tags": tags}}
    return _encoder.encode(value).decode()


def _old_tag(where: str, structure: Json) -> JsonObject:
    if type(structure) is not dict or not {"begin", "end"} <= structure.keys():
        raise wrong(where, "an object with begin, schema and end", structure)
    schema = structure.get("schema", structure.get("schema_", True))
    content = {"type": "json_schema", "json_schema": schema}
    return {"begin": structure["begin"], "content": content, "end": structure["end"]}
