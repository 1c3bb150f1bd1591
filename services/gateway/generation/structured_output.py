"""What the output must be: every spelling that clients use for it, and the one grammar that it comes to."""

from typing import Any

import msgspec

from xylem.services.gateway.fields.field import AnyType, Field, taken, wrong
from xylem.shared.protocol import Grammar
from xylem.shared.runtime.errors import InvalidRequest

_encoder = msgspec.json.Encoder()

# vLLM's names inside `structured_outputs`, and with a prefix on their own.
NESTED = {
    "json": "json_schema",
    "regex": "regex",
    "choice": "choice",
    "grammar": "ebnf",
    "structural_tag": "structural_tag",
}
GUIDED = ("json", "regex", "choice", "grammar")

FIELDS: list[Field] = [
    taken(
        "response_format",
        AnyType({"type": "object"}),
        about='{"type": "text"}, {"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": ...}},'
        ' {"type": "regex", "pattern": ...} or a structural tag.',
    ),
    taken("json_schema", AnyType({"type": ["string", "object"]}), about="A JSON schema, as an object or in a string."),
    taken("regex", AnyType({"type": "string"}), about="A regular expression that the whole output matches."),
    taken("ebnf", AnyType({"type": "string"}), about="A grammar in GBNF; its first rule is root."),
    taken("structural_tag", AnyType({"type": ["string", "object"]}), about="xgrammar's structural tag."),
    taken("structured_outputs", AnyType({"type": "object"}), about="vLLM's form: json, regex, choice, grammar, ..."),
    *(taken(f"guided_{name}", AnyType(), about=f"vLLM's older form of structured_outputs.{name}.") for name in GUIDED),
]


def grammar_of(values: dict[str, Any]) -> Grammar | None:
    """The grammar that a body asks for, by those of FIELDS that its endpoint has.

    Raises InvalidRequest: for a value of the wrong kind, and for two grammars.
    """
    found = [grammar for grammar in _all(values) if grammar is not None]
    if len(found) > 1:
        raise InvalidRequest(
            f"{' and '.join(grammar.param for grammar in found)} are given; one of them can be met",
            param=found[1].param,
        )
    return found[0] if found else None


def _all(values: dict[str, Any]) -> list[Grammar | None]:
    nested = values.get("structured_outputs") or {}
    if type(nested) is not dict:
        raise wrong("structured_outputs", "an object", nested)
    found = [_response_format(values.get("response_format"))]
    found += [_grammar(name, name, values.get(name)) for name in ("json_schema", "regex", "ebnf", "structural_tag")]
    found += [_grammar(f"guided_{name}", NESTED[name], values.get(f"guided_{name}")) for name in GUIDED]
    for name, value in nested.items():
        param = f"structured_outputs.{name[:80]}"
        if name in NESTED:
            found.append(_grammar(param, NESTED[name], value))
        elif name == "json_object":
            found.append(Grammar("json_object", param=param) if value else None)
        elif value not in (None, False):
            raise InvalidRequest(f"{param} is not supported yet; leave it out", param=param)
    return found


def _response_format(value: Any) -> Grammar | None:
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


def _grammar(param: str, kind: str, value: Any) -> Grammar | None:
    if value is None or (kind == "choice" and value == []):
        return None
    match kind:
        case "json_schema":
            if type(value) not in (str, dict, bool):
                raise wrong(param, "a JSON schema", value)
            text = value if type(value) is str else _encoder.encode(value).decode()
        case "choice":
            if type(value) is not list or not all(type(choice) is str and choice for choice in value):
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


def _structural_tag(param: str, value: Any) -> str:
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
        tags = [_old_tag(f"{param}.structures[{i}]", structure) for i, structure in enumerate(structures)]
        value = {"type": "structural_tag", "format": {"type": "triggered_tags", "triggers": triggers, "tags": tags}}
    return _encoder.encode(value).decode()


def _old_tag(where: str, structure: Any) -> dict[str, Any]:
    if type(structure) is not dict or not {"begin", "end"} <= structure.keys():
        raise wrong(where, "an object with begin, schema and end", structure)
    schema = structure.get("schema", structure.get("schema_", True))
    content = {"type": "json_schema", "json_schema": schema}
    return {"begin": structure["begin"], "content": content, "end": structure["end"]}
