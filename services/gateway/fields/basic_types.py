"""The types of values that any API has: numbers, strings, objects. Nothing is coerced: "7" is no integer."""

from dataclasses import dataclass, field

from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong


@dataclass(frozen=True)
class IntegerType:
    low: int
    high: int

    @property
    def schema(self) -> JsonObject:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read_value(self, name: str, value: Json) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise wrong(name, f"an integer from {self.low} to {self.high}", value)
        return value


@dataclass(frozen=True)
class AnyIntegerType:
    schema: JsonObject = field(default_factory=lambda: {"type": "integer"})

    def read_value(self, name: str, value: Json) -> int:
        if type(value) is not int:
            raise wrong(name, "an integer", value)
        return value


@dataclass(frozen=True)
class NumberType:
    low: float
    high: float
    above_low: bool = False  # low itself is out

    @property
    def schema(self) -> JsonObject:
        return {"type": "number", "exclusiveMinimum" if self.above_low else "minimum": self.low, "maximum": self.high}

    def read_value(self, name: str, value: Json) -> float:
        number = value if isinstance(value, int | float) and type(value) is not bool else None
        if number is None or not self.low <= number <= self.high or (self.above_low and number == self.low):
            border = "above" if self.above_low else "from"
            raise wrong(name, f"a number {border} {self.low:g} and up to {self.high:g}", value)
        return float(number)


@dataclass(frozen=True)
class BooleanType:
    schema: JsonObject = field(default_factory=lambda: {"type": "boolean"})

    def read_value(self, name: str, value: Json) -> bool:
        if type(value) is not bool:
            raise wrong(name, "true or false", value)
        return value


@dataclass(frozen=True)
class TextType:
    schema: JsonObject = field(default_factory=lambda: {"type": "string"})

    def read_value(self, name: str, value: Json) -> str:
        if type(value) is not str:
            raise wrong(name, "a string", value)
        return value


@dataclass(frozen=True)
class OneOfType:
    """One of some words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> JsonObject:
        return {"type": "string", "enum": [*self.words]}

    def read_value(self, name: str, value: Json) -> str:
        if type(value) is not str or value not in self.words:
            raise wrong(name, " or ".join(self.words), value)
        return value


@dataclass(frozen=True)
class ObjectType:
    schema: JsonObject = field(default_factory=lambda: {"type": "object"})

    def read_value(self, name: str, value: Json) -> JsonObject:
        if type(value) is not dict:
            raise wrong(name, "an object", value)
        return value


@dataclass(frozen=True)
class AnyType:
    """Any JSON. What is in it is checked where it is read."""

    schema: JsonObject = field(default_factory=dict)

    def read_value(self, name: str, value: Json) -> Json:
        return value
