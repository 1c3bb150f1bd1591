"""Resolves a JSON schema into shapes: references, combinations, and each keyword by name.

Keywords that a grammar can't promise are refused by name. The promise goes in one direction: every output is valid. Not
every valid document can be written: members come in the schema's order, unnamed members only where
`additionalProperties` is given (as in OpenAI's strict mode), integers have no fraction of zeros, and the far ends of
formats are left out. Names that the standard does not know are annotations, and pass, as it says.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.formats import FORMATS
from xylem.services.executor.structured_output.keywords import (
    parse_array,
    parse_number,
    parse_object,
    parse_object_of,
    parse_string,
)
from xylem.services.executor.structured_output.negation import negated
from xylem.services.executor.structured_output.regexes import pattern_matches
from xylem.services.executor.structured_output.shapes import (
    ANYTHING,
    TYPES,
    Array,
    Literal,
    Number,
    Object,
    Schema,
    Shape,
    String,
    all_of,
    json_equal,
    parse_fraction,
)

REFUSED = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "maxContains", "extends",
           "disallow", "divisibleBy")  # fmt: skip
MOST_SHAPES = 500
MOST_DEPTH = 60
OTHER_THAN = {
    "object": ["string", "number", "array", "boolean", "null"],
    "array": ["string", "number", "object", "boolean", "null"],
    "string": ["number", "object", "array", "boolean", "null"],
    "number": ["string", "object", "array", "boolean", "null"],
}


class Schemas:
    """All schemas of one document."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.left_out = ""  # names what was approximated, by allowing less
        dialect = str(root.get("$schema", "")) if isinstance(root, dict) else ""
        # Up to draft 7, what stands beside $ref does not count.
        self._lonely_refs = any(f"draft-0{n}" in dialect for n in (3, 4, 6, 7))

    def shapes(self, schema: Schema, refs: tuple[str, ...] = ()) -> list[Shape]:
        """Returns the shapes that a schema allows. Raises GrammarFailed."""
        if schema is True:
            return list(ANYTHING)
        if schema is False:
            return []
        if not isinstance(schema, dict):
            raise GrammarFailed(f"a schema must be an object or a boolean, not {str(schema)[:50]!r}")
        if len(refs) > MOST_DEPTH:
            raise GrammarFailed("the schema's combinations are nested too deeply")
        for keyword in REFUSED:
            if keyword in schema:
                raise GrammarFailed(f"{keyword} is not supported in a schema")
        if "$ref" in schema:
            target = schema["$ref"]
            if target in refs:
                raise GrammarFailed(f"$ref {target!r} leads only to itself")
            shapes = self.shapes(self.resolved(target), (*refs, target))
            if self._lonely_refs:
                return shapes
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self._intersect(shapes, self.shapes(rest, (*refs, "")))
        shapes = self._plain(schema)
        for other in self._combined(schema):
            shapes = self._intersect(shapes, self.shapes(other, (*refs, "")))
        if "anyOf" in schema:
            branches = self._branches(schema, "anyOf")
            shapes = self._intersect(shapes, [s for branch in branches for s in self.shapes(branch, (*refs, ""))])
        if "oneOf" in schema:
            shapes = self._intersect(shapes, self._one_of(self._branches(schema, "oneOf"), refs))
        values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
        if values is not None:
            if not isinstance(values, list):
                raise GrammarFailed("the schema's enum must be a list")
            if "enum" in schema and "const" in schema:
                values = [v for v in values if json_equal(v, schema["const"])]
            shapes = [Literal(v) for v in values if any(self._admits(shape, v) for shape in shapes)]
        return shapes

    def resolved(self, target: Any) -> Schema:
        """Returns the schema that a $ref points to: a JSON pointer into this document (RFC 6901)."""
        if not isinstance(target, str) or not target.startswith("#"):
            raise GrammarFailed(f"$ref {target!r} points outside of the schema, which is not supported")
        if target == "#":
            return self.root
        found_ = self.root
        for step in unquote(target[1:]).split("/")[1:] if target.startswith("#/") else [target]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found_, dict) and key in found_:
                found_ = found_[key]
            elif isinstance(found_, list) and key.isdecimal() and int(key) < len(found_):
                found_ = found_[int(key)]
            else:
                raise GrammarFailed(f"$ref {target!r} points to nothing")
        return found_

    def admits(self, schema: Schema, value: Any) -> bool:
        """Whether a value satisfies a schema."""
        return any(self._admits(shape, value) for shape in self.shapes(schema))

    def _plain(self, schema: dict[str, Any]) -> list[Shape]:
        """Returns the shapes that the keywords of single types allow."""
        kinds = schema.get("type")
        names = [kinds] if isinstance(kinds, str) else kinds
        if names is None:
            shapes = list(ANYTHING)
        elif not isinstance(names, list) or any(not isinstance(n, str) or n not in TYPES for n in names):
            raise GrammarFailed(f"the schema's type {kinds!r} is unknown")
        else:
            if "number" in names:
                names = [n for n in names if n != "integer"]
            shapes = [shape for name in names for shape in TYPES[name]]
        made: list[Shape] = []
        for shape in shapes:
            match shape:
                case Number():
                    made.append(shape.intersect(parse_number(schema)))
                case String():
                    made.append(shape.intersect(parse_string(schema)))
                case Array():
                    made.append(shape.intersect(parse_array(schema)))
                case Object():
                    made.append(shape.intersect(parse_object(schema)))
                case Literal():
                    made.append(shape)
        return made

    def _combined(self, schema: dict[str, Any]) -> Iterable[Schema]:
        """Yields the other schemas that must hold, too."""
        if "allOf" in schema:
            yield from self._branches(schema, "allOf")
        if "not" in schema:
            yield self._negated(schema["not"], "not")
        if "if" in schema and ("then" in schema or "else" in schema):
            then = all_of(schema["if"], schema.get("then", True))
            yield {"anyOf": [then, all_of(self._negated(schema["if"], "if"), schema.get("else", True))]}
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, needed in parse_object_of(schema, keyword).items():
                needs = {"required": needed} if isinstance(needed, list) else needed
                yield {"anyOf": [{"properties": {name: False}}, all_of({"required": [name]}, needs)]}

    def _negated(self, schema: Schema, keyword: str) -> Schema:
        self.left_out = f"{keyword} is not supported with a schema such as {str(schema)[:100]}"
        return negated(self, schema, keyword)

    def _branches(self, schema: dict[str, Any], keyword: str) -> list[Schema]:
        branches = schema[keyword]
        if not isinstance(branches, list) or not branches:
            raise GrammarFailed(f"the schema's {keyword} must be a list with an entry")
        return branches

    def _one_of(self, branches: list[Schema], refs: tuple[str, ...]) -> list[Shape]:
        """Returns the shapes of exactly one branch: branches that may overlap exclude one another."""
        made = [self.shapes(branch, (*refs, "")) for branch in branches]
        out: list[Shape] = []
        for i, shapes in enumerate(made):
            for j, other in enumerate(branches):
                if i != j and not all(self._disjoint(a, b) for a in shapes for b in made[j]):
                    shapes = self._intersect(shapes, self.shapes(self._negated(other, "oneOf"), (*refs, "")))
            out += shapes
        return out

    def _disjoint(self, a: Shape, b: Shape, depth: int = 2) -> bool:
        """Whether it is certain that no value is of both shapes."""
        if isinstance(a, Literal):
            return not self._admits(b, a.value)
        if isinstance(b, Literal):
            return not self._admits(a, b.value)
        if type(a) is not type(b):
            return True
        if isinstance(a, Object) and isinstance(b, Object) and depth:
            return any(
                all(
                    self._disjoint(x, y, depth - 1)
                    for x in self.shapes(a.member(name))
                    for y in self.shapes(b.member(name))
                )
                for name in {*a.required, *b.required}
                if (name in a.required and name in b.required)
                or not self.shapes((b if name in a.required else a).member(name))
            )
        return False

    def _intersect(self, some: list[Shape], others: list[Shape]) -> list[Shape]:
        """Returns the intersections of the shapes of both lists."""
        if some == ANYTHING:
            return others
        met: list[Shape] = []
        for a in some:
            for b in others:
                shape = self._intersect_pair(a, b)
                if shape is not None and shape not in met:
                    met.append(shape)
            if len(met) > MOST_SHAPES:
                raise GrammarFailed("the schema's combinations are too many")
        return met

    def _intersect_pair(self, a: Shape, b: Shape) -> Shape | None:
        match a, b:
            case Literal(value), _:
                return a if self._admits(b, value) else None
            case _, Literal(value):
                return b if self._admits(a, value) else None
            case (Number(), Number()) | (String(), String()) | (Array(), Array()) | (Object(), Object()):
                return a.intersect(b)  # type: ignore[union-attr, arg-type]
            case _:
                return None

    def _admits(self, shape: Shape, value: Any) -> bool:
        match shape:
            case Literal(literal):
                return json_equal(literal, value)
            case Number(bounds, multiple, refused):
                if isinstance(value, bool) or not isinstance(value, int | float):
                    return False
                exact = parse_fraction(value, "enum")
                fits = multiple is None or (exact / multiple).denominator == 1
                return fits and bounds.holds(exact) and exact not in refused
            case String():
                return isinstance(value, str) and _admits_string(shape, value)
            case Array():
                return self._admits_array(shape, value)
            case Object():
                return self._admits_object(shape, value)

    def _admits_array(self, shape: Array, value: Any) -> bool:
        if not isinstance(value, list) or len(value) < shape.least:
            return False
        if shape.most is not None and len(value) > shape.most:
            return False
        if shape.unique and any(json_equal(a, b) for i, a in enumerate(value) for b in value[:i]):
            return False
        if not all(self.admits(shape.item(i), item) for i, item in enumerate(value)):
            return False
        return all(any(self.admits(wanted, item) for item in value) for wanted in shape.contains)

    def _admits_object(self, shape: Object, value: Any) -> bool:
        if not isinstance(value, dict) or len(value) < shape.least or not set(shape.required) <= value.keys():
            return False
        if shape.most is not None and len(value) > shape.most:
            return False
        if not all(self.admits(names, name) for names in shape.names for name in value):
            return False
        return all(self.admits(shape.member(name), inner) for name, inner in value.items())


def _admits_string(shape: String, value: str) -> bool:
    if len(value) < shape.least or (shape.most is not None and len(value) > shape.most) or value in shape.refused:
        return False
    patterns = [*shape.patterns, *(f"^(?:{FORMATS[f]})$" for f in shape.formats if f in FORMATS)]
    return all(pattern_matches(pattern, value) for pattern in patterns) and not any(
        pattern_matches(pattern, value) for pattern in shape.refused_patterns
    )
