"""A JSON schema taken apart into shapes: references, combinations, and each keyword by name.

Whatever a grammar can't promise is refused by the name of its keyword. What remains is a promise in one direction:
every output is valid. The other way round, valid documents that a model can't write are those with members in another
order than the schema's, those with more members than named ones where `additionalProperties` is not given (as in
OpenAI's strict mode), and those at the far ends of formats and of long counted strings. Names that the standard does
not know are annotations, and pass, as it says.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.numbers import Bounds
from xylem.services.executor.structured_output.shapes import (
    ANYTHING,
    TYPES,
    Array,
    Literal,
    Members,
    Number,
    Object,
    Schema,
    Shape,
    String,
    both,
    fraction,
    same,
    whole,
)
from xylem.services.executor.structured_output.strings import FORMATS, found

REFUSED = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "maxContains", "extends",
           "disallow", "divisibleBy")  # fmt: skip
RANGES = {"int32": 2**31, "int64": 2**63}  # of OpenAPI's formats: the lowest is minus this
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
        dialect = str(root.get("$schema", "")) if isinstance(root, dict) else ""
        # Up to draft 7, what stands beside $ref does not count.
        self._lonely_refs = any(f"draft-0{n}" in dialect for n in (3, 4, 6, 7))

    def shapes(self, schema: Schema, refs: tuple[str, ...] = ()) -> list[Shape]:
        """What a schema allows. Raises GrammarFailed."""
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
            return self._met(shapes, self.shapes(rest, (*refs, "")))
        shapes = self._plain(schema)
        for other in self._combined(schema):
            shapes = self._met(shapes, self.shapes(other, (*refs, "")))
        if "anyOf" in schema:
            branches = self._branches(schema, "anyOf")
            shapes = self._met(shapes, [s for branch in branches for s in self.shapes(branch, (*refs, ""))])
        if "oneOf" in schema:
            shapes = self._met(shapes, self._one_of(self._branches(schema, "oneOf"), refs))
        values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
        if values is not None:
            if not isinstance(values, list):
                raise GrammarFailed("the schema's enum must be a list")
            if "enum" in schema and "const" in schema:
                values = [v for v in values if same(v, schema["const"])]
            shapes = [Literal(v) for v in values if any(self._admits(shape, v) for shape in shapes)]
        return shapes

    def resolved(self, target: Any) -> Schema:
        """The schema that a $ref points to: a JSON pointer into this document (RFC 6901)."""
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
        """Does a value satisfy a schema?"""
        return any(self._admits(shape, value) for shape in self.shapes(schema))

    def _plain(self, schema: dict[str, Any]) -> list[Shape]:
        """What the keywords allow that concern one type each."""
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
                    made.append(shape.meet(_number(schema)))
                case String():
                    made.append(shape.meet(_string(schema)))
                case Array():
                    made.append(shape.meet(_array(schema)))
                case Object():
                    made.append(shape.meet(_object(schema)))
                case Literal():
                    made.append(shape)
        return made

    def _combined(self, schema: dict[str, Any]) -> Iterable[Schema]:
        """Other schemas that must hold, too."""
        if "allOf" in schema:
            yield from self._branches(schema, "allOf")
        if "not" in schema:
            yield self.negated(schema["not"])
        if "if" in schema and ("then" in schema or "else" in schema):
            then = both(schema["if"], schema.get("then", True))
            yield {"anyOf": [then, both(self.negated(schema["if"]), schema.get("else", True))]}
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, needed in _dict(schema, keyword).items():
                needs = {"required": needed} if isinstance(needed, list) else needed
                yield {"anyOf": [{"properties": {name: False}}, both({"required": [name]}, needs)]}

    def _branches(self, schema: dict[str, Any], keyword: str) -> list[Schema]:
        branches = schema[keyword]
        if not isinstance(branches, list) or not branches:
            raise GrammarFailed(f"the schema's {keyword} must be a list with an entry")
        return branches

    def _one_of(self, branches: list[Schema], refs: tuple[str, ...]) -> list[Shape]:
        """What exactly one branch allows: branches that may overlap exclude one another."""
        made = [self.shapes(branch, (*refs, "")) for branch in branches]
        out: list[Shape] = []
        for i, shapes in enumerate(made):
            for j, other in enumerate(branches):
                if i != j and not all(self._disjoint(a, b) for a in shapes for b in made[j]):
                    shapes = self._met(shapes, self.shapes(self.negated(other, "oneOf"), (*refs, "")))
            out += shapes
        return out

    def _disjoint(self, a: Shape, b: Shape, depth: int = 2) -> bool:
        """Can it be seen that nothing is of both shapes?"""
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

    def negated(self, schema: Schema, keyword: str = "not") -> Schema:
        """A schema for some of what another does not allow: surely nothing that it does. Raises GrammarFailed."""
        options = self._refutations(schema, ())
        if not options:
            raise GrammarFailed(f"{keyword} is not supported with a schema such as {str(schema)[:100]}")
        return {"anyOf": options}

    def _refutations(self, schema: Schema, refs: tuple[str, ...]) -> list[Schema]:
        """Schemas each of which contradicts this one."""
        if isinstance(schema, bool):
            return [not schema]
        if not isinstance(schema, dict) or len(refs) > 8:
            return []
        refs = (*refs, "")
        if "$ref" in schema:
            return (
                []
                if schema["$ref"] in refs
                else self._refutations(self.resolved(schema["$ref"]), (*refs, schema["$ref"]))
            )
        kinds = schema.get("type")
        names = [kinds] if isinstance(kinds, str) else kinds
        out: list[Schema] = []
        if names is not None:
            others = [
                n for n in TYPES if n not in names and n != "integer" and not (n == "number" and "integer" in names)
            ]
            if others:
                out.append({"type": others})
        of = names or list(TYPES)
        if "object" in of:
            out += [{"type": "object", "properties": {name: False}} for name in schema.get("required", [])]
            out += [
                {"type": "object", "properties": {name: option}, "required": [name]}
                for name, inner in _dict(schema, "properties").items()
                for option in self._refutations(inner, refs)
                if option is not False
            ]
        for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")):
            kind = {"minLength": "string", "minItems": "array"}.get(low, "object")
            if kind in of and whole(schema.get(low, 0), low):
                out.append({"type": kind, high: whole(schema[low], low) - 1})
            if kind in of and high in schema:
                out.append({"type": kind, low: whole(schema[high], high) + 1})
        if "number" in of or "integer" in of:
            if "minimum" in schema and schema.get("exclusiveMinimum") is not True:
                out.append({"type": "number", "exclusiveMaximum": schema["minimum"]})
            if "maximum" in schema and schema.get("exclusiveMaximum") is not True:
                out.append({"type": "number", "exclusiveMinimum": schema["maximum"]})
        values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
        if values is not None:
            present = {_kind(value) for value in values}
            out.append({"type": [n for n in TYPES if n not in (*present, "integer", "boolean")]})
            out += [{"const": b} for b in (True, False) if not any(same(b, v) for v in values)]
        if "anyOf" in schema:
            each = [self._refutations(branch, refs) for branch in schema["anyOf"]]
            if all(each):
                out.append({"allOf": [{"anyOf": options} for options in each]})
        for branch in schema.get("allOf", []):
            out += self._refutations(branch, refs)
        if "not" in schema:
            out.append(schema["not"])
        return out

    def _met(self, some: list[Shape], others: list[Shape]) -> list[Shape]:
        """What is of a shape of either list."""
        if some == ANYTHING:
            return others
        met: list[Shape] = []
        for a in some:
            for b in others:
                shape = self._met_pair(a, b)
                if shape is not None and shape not in met:
                    met.append(shape)
            if len(met) > MOST_SHAPES:
                raise GrammarFailed("the schema's combinations are too many")
        return met

    def _met_pair(self, a: Shape, b: Shape) -> Shape | None:
        match a, b:
            case Literal(value), _:
                return a if self._admits(b, value) else None
            case _, Literal(value):
                return b if self._admits(a, value) else None
            case (Number(), Number()) | (String(), String()) | (Array(), Array()) | (Object(), Object()):
                return a.meet(b)  # type: ignore[union-attr, arg-type]
            case _:
                return None

    def _admits(self, shape: Shape, value: Any) -> bool:
        match shape:
            case Literal(literal):
                return same(literal, value)
            case Number(bounds, multiple):
                if isinstance(value, bool) or not isinstance(value, int | float):
                    return False
                exact = Fraction(str(value))
                return bounds.holds(exact) and (multiple is None or (exact / multiple).denominator == 1)
            case String(least, most, patterns, formats):
                if not isinstance(value, str) or len(value) < least or (most is not None and len(value) > most):
                    return False
                patterns += tuple(f"^(?:{FORMATS[f]})$" for f in formats if f in FORMATS)
                return all(found(pattern, value) for pattern in patterns)
            case Array():
                return self._admits_array(shape, value)
            case Object():
                return self._admits_object(shape, value)

    def _admits_array(self, shape: Array, value: Any) -> bool:
        if not isinstance(value, list) or len(value) < shape.least:
            return False
        if shape.most is not None and len(value) > shape.most:
            return False
        if shape.unique and any(same(a, b) for i, a in enumerate(value) for b in value[:i]):
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


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = {str: "string", int: "number", float: "number", list: "array", dict: "object", type(None): "null"}
    return kinds[type(value)]


def _dict(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword, {})
    if not isinstance(value, dict):
        raise GrammarFailed(f"the schema's {keyword} must be an object")
    return value


def _number(schema: dict[str, Any]) -> Number:
    bounds, multiple = Bounds(), None
    for name, other in (("inimum", "exclusiveMinimum"), ("aximum", "exclusiveMaximum")):
        is_low, plain, exclusive = name == "inimum", schema.get("m" + name), schema.get(other)
        for value, is_open in ((plain, exclusive is True), (exclusive, True)):
            if value is None or isinstance(value, bool):
                continue
            at = fraction(value, other if is_open else "m" + name)
            more = Bounds(low=at, low_open=is_open) if is_low else Bounds(high=at, high_open=is_open)
            bounds = bounds.meet(more)
    if "multipleOf" in schema:
        multiple = fraction(schema["multipleOf"], "multipleOf")
        if multiple <= 0:
            raise GrammarFailed("the schema's multipleOf must be above 0")
    most = RANGES.get(str(schema.get("format")))
    if most is not None:
        bounds = bounds.meet(Bounds(Fraction(-most), Fraction(most - 1)))
    return Number(bounds, multiple)


def _string(schema: dict[str, Any]) -> String:
    pattern, format_ = schema.get("pattern"), schema.get("format")
    if pattern is not None and not isinstance(pattern, str):
        raise GrammarFailed("the schema's pattern must be a string")
    return String(
        whole(schema.get("minLength", 0), "minLength"),
        whole(schema["maxLength"], "maxLength") if "maxLength" in schema else None,
        (pattern,) if pattern is not None else (),
        (format_,) if isinstance(format_, str) and format_ in FORMATS else (),
    )


def _array(schema: dict[str, Any]) -> Array:
    items = schema.get("items")
    prefix = schema.get("prefixItems", ())
    if isinstance(items, list):  # up to draft 2019-09
        prefix, items = items, schema.get("additionalItems")
    if not isinstance(prefix, list | tuple):
        raise GrammarFailed("the schema's prefixItems must be a list")
    contains = ()
    if "contains" in schema:
        least = whole(schema.get("minContains", 1), "minContains")
        if least > 1:
            raise GrammarFailed("minContains above 1 is not supported in a schema")
        contains = (schema["contains"],) * least
    return Array(
        tuple(prefix),
        items,
        whole(schema.get("minItems", 0), "minItems"),
        whole(schema["maxItems"], "maxItems") if "maxItems" in schema else None,
        contains,
        schema.get("uniqueItems") is True,
    )


def _object(schema: dict[str, Any]) -> Object:
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise GrammarFailed("the schema's required must be a list of names")
    named, patterns = _dict(schema, "properties"), _dict(schema, "patternProperties")
    for pattern in patterns:
        found(pattern, "")
    rest = schema.get("additionalProperties")
    return Object(
        (Members(named, patterns, rest),) if named or patterns or rest is not None else (),
        tuple(required),
        whole(schema.get("minProperties", 0), "minProperties"),
        whole(schema["maxProperties"], "maxProperties") if "maxProperties" in schema else None,
        (schema["propertyNames"],) if "propertyNames" in schema else (),
    )
