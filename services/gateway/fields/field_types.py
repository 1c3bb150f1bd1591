"""The types of values that only language model requests have: prompts, stop strings, stream options."""

from array import array
from dataclasses import dataclass, field, fields
from typing import TypeGuard

import regex

from xylem.services.gateway.fields.asks_nothing import asks_nothing
from xylem.services.gateway.fields.basic_types import BooleanType, NumberType
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.nested_checks import is_strings
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.protocol.columns import count, pack, pack_floats
from xylem.shared.runtime.errors import InvalidRequest

MAX_STOPS = 32
MAX_STOP_CHARACTERS = 1024
MAX_STOP_IDS = 1024
MAX_TOKEN_ID = 2**31 - 1
MAX_STOP_PATTERN_CHARACTERS = 256
MAX_BIASES = 1024


@dataclass(frozen=True)
class StopsType:
    """A string or a list of strings. Reads to a tuple."""

    schema: JsonObject = field(
        default_factory=lambda: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    )

    def read_value(self, name: str, value: Json) -> tuple[str, ...]:
        stops: Json = [value] if type(value) is str else value
        if not is_strings(stops):
            raise wrong(name, "a string or a list of strings", value)
        if len(stops) > MAX_STOPS:
            raise InvalidRequest(f"{name} has {len(stops)} strings; {MAX_STOPS} are allowed", param=name)
        if not all(0 < len(stop) <= MAX_STOP_CHARACTERS for stop in stops):
            raise InvalidRequest(f"each string of {name} must have 1 to {MAX_STOP_CHARACTERS} characters", param=name)
        return tuple(stops)


@dataclass(frozen=True)
class StopPatternsType:
    """A regular expression or a list of them. Reads to a tuple."""

    schema: JsonObject = field(
        default_factory=lambda: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    )

    def read_value(self, name: str, value: Json) -> tuple[str, ...]:
        patterns = StopsType().read_value(name, value)
        for pattern in patterns:
            if len(pattern) > MAX_STOP_PATTERN_CHARACTERS:
                raise InvalidRequest(
                    f"a pattern of {name} has {len(pattern)} characters; {MAX_STOP_PATTERN_CHARACTERS} are allowed",
                    param=name,
                )
            try:
                compiled = regex.compile(pattern)
            except regex.error as error:
                raise InvalidRequest(f"{name}: {pattern!r} is no regular expression: {error}", param=name) from None
            if compiled.match(""):
                raise InvalidRequest(f"{name}: {pattern!r} matches before anything is said", param=name)
        return patterns


@dataclass(frozen=True)
class LogitBiasType:
    """Token ids (JSON has only strings for names) to what is added to their logits. Reads to two columns."""

    schema: JsonObject = field(
        default_factory=lambda: {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
        }
    )

    def read_value(self, name: str, value: Json) -> tuple[bytes, bytes]:
        if type(value) is not dict:
            raise wrong(name, "an object of token ids and numbers", value)
        if len(value) > MAX_BIASES:
            raise InvalidRequest(f"{name} has {len(value)} tokens; {MAX_BIASES} are allowed", param=name)
        biases: dict[int, float] = {}
        for key, bias in value.items():
            if not key.isascii() or not key.isdecimal() or len(key) > 10 or int(key) > MAX_TOKEN_ID:
                raise InvalidRequest(f"{name}: {key[:40]!r} is no token id", param=name)
            biases[int(key)] = NumberType(-100, 100).read_value(f"{name}.{key}", bias)
        return pack(biases), pack_floats(biases.values())


def token_column(name: str, value: Json) -> bytes:
    """Turns a list of token ids into a column. Raises InvalidRequest."""
    if not _is_token_ids(value):
        raise wrong(name, "a list of token ids (integers from 0)", value)
    return pack(array("i", value))


def _is_token_ids(value: Json) -> TypeGuard[list[int]]:
    return type(value) is list and all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in value)


@dataclass(frozen=True)
class TokenIdsType:
    """A list of token ids. Reads to a column. max_count 0: any number."""

    max_count: int = 0
    schema: JsonObject = field(default_factory=lambda: {"type": "array", "items": {"type": "integer"}})

    def read_value(self, name: str, value: Json) -> bytes:
        column = token_column(name, value)
        if self.max_count and count(column) > self.max_count:
            raise InvalidRequest(f"{name} has {count(column)} ids; {self.max_count} are allowed", param=name)
        return column


Prompt = str | bytes  # text, or a column of token ids


@dataclass(frozen=True)
class PromptsType:
    """A string, a list of strings, a list of token ids, or a list of such lists. Reads to a list of `Prompt`."""

    schema: JsonObject = field(
        default_factory=lambda: {
            "oneOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "array", "items": {"type": "integer"}},
                {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            ]
        }
    )

    def read_value(self, name: str, value: Json) -> list[Prompt]:
        if type(value) is str:
            return [value]
        if type(value) is not list or not value:
            raise wrong(name, "a string, a list of strings, a list of token ids, or a list of such lists", value)
        if is_strings(value):
            return list(value)
        if type(value[0]) is list:
            columns: list[Prompt] = [token_column(name, item) for item in value]
            if not all(columns):
                raise InvalidRequest(f"{name} holds an empty list of token ids", param=name)
            return columns
        return [token_column(name, value)]


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Options of a stream, each off unless it is asked for."""

    include_usage: bool = False
    continuous_usage_stats: bool = False
    event_ids: bool = False


@dataclass(frozen=True)
class StreamOptionsType:
    """An object of booleans. Reads to StreamOptions."""

    schema: JsonObject = field(
        default_factory=lambda: {
            "type": "object",
            "properties": {option.name: {"type": "boolean"} for option in fields(StreamOptions)},
        }
    )

    def read_value(self, name: str, value: Json) -> StreamOptions:
        if type(value) is not dict:
            raise wrong(name, "an object", value)
        known = {option.name for option in fields(StreamOptions)}
        options: dict[str, bool] = {}
        for key, option in value.items():
            # Padding against an eavesdropper who measures sizes; it changes no text.
            if key not in known and key != "include_obfuscation":
                if asks_nothing(option):
                    continue
                raise InvalidRequest(f"unknown field {name}.{key[:80]}", param=f"{name}.{key[:80]}")
            if option is not None:
                options[key] = BooleanType().read_value(f"{name}.{key}", option)
        options.pop("include_obfuscation", None)
        return StreamOptions(**options)
