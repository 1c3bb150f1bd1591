"""Structural tags with schemas that keep the same promises as a schema alone."""

import json
from typing import Any

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.json_grammar import schema_to_ebnf
from xylem.services.executor.structured_output.tool_schemas import loosen_schemas

JSON_STYLES = (None, "json")


def replace_schemas(text: str) -> str:
    """Replaces every JSON schema in a tag by a grammar of json_grammar. Raises GrammarFailed.

    Arguments in other styles (as XML) are left to xgrammar, which has its own way to write them; a schema that can't be
    promised is refused there, too.
    """
    try:
        tag = json.loads(text)
    except ValueError as error:
        raise GrammarFailed(f"the structural tag is no JSON: {error}") from None
    return json.dumps(_written(loosen_schemas(tag, _check)))


def _check(schema: Any) -> None:
    schema_to_ebnf(json.dumps(schema))


def _written(node: Any) -> Any:
    match node:
        case {"type": "json_schema", "json_schema": schema, **more}:
            grammar = schema_to_ebnf(json.dumps(schema))
            return {"type": "grammar", "grammar": grammar} if more.get("style") in JSON_STYLES else node
        case dict():
            return {key: _written(value) for key, value in node.items()}
        case list():
            return [_written(value) for value in node]
    return node
