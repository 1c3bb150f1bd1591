"""The kinds of values that only language model requests have: prompts, stop strings, stream options."""

from array import array
from dataclasses import dataclass, field
from typing import Any

import regex

from xylem.services.gateway.fields.field import BooleanType, NumberType, wrong
from xylem.shared.protocol.columns import pack, pack_floats
from xylem.shared.runtime.errors import InvalidRequest

MAX_STOPS = 32
MAX_STOP_CHARACTERS = 1024
MAX_STOP_IDS = 1024
MAX_TOKEN_ID = 2**31 - 1
MAX_STOP_PATTERN_CHARACTERS = 256
MAX_BIASES = 1024
STREAM_OPTIONS = ("include_usage", "continuous_usage_stats", "event_ids")


@dataclass(frozen=True)
class Stops:
    """A string or a list of strings. Reads to a tuple."""

    schema: dict[str, Any] = field(
        default_factory=lambda: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    )

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        stops = [value] if type(value) is str else value
        if type(stops) is not list or not all(type(stop) is str for stop in stops):
            raise wrong(name, "a string or a list of strings", value)
        if len(stops) > MAX_STOPS:
            raise InvalidRequest(f"{name} has {len(stops)} strings; {MAX_STOPS} are allowed", param=name)
        if not all(0 < len(stop) <= MAX_STOP_CHARACTERS for stop in stops):
            raise InvalidRequest(f"each string of {name} must have 1 to {MAX_STOP_CHARACTERS} characters", param=name)
        return tuple(stops)


@dataclass(frozen=True)
class StopPatterns:
    """A regular expression or a list of them. Reads to a tuple."""

    schema: dict[str, Any] = field(
        default_factory=lambda: {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    )

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        patterns = Stops().read(name, value)
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
class LogitBias:
    """Token ids (JSON has only strings for names) to what is added to their logits. Reads to two columns."""

    schema: dict[str, Any] = field(
        default_factory=lambda: {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
        }
    )

    def read(self, name: str, value: Any) -> tuple[bytes, bytes]:
        if type(value) is not dict:
            raise wrong(name, "an object of token ids and numbers", value)
        if len(value) > MAX_BIASES:
            raise InvalidRequest(f"{name} has {len(value)} tokens; {MAX_BIASES} are allowed", param=name)
        biases: dict[int, float] = {}
        for key, bias in value.items():
            if not key.isascii() or not key.isdecimal() or len(key) > 10 or int(key) > MAX_TOKEN_ID:
                raise InvalidRequest(f"{name}: {key[:40]!r} is no token id", param=name)
            biases[int(key)] = NumberType(-100, 100).read(f"{name}.{key}", bias)
        return pack(biases), pack_floats(biases.values())


def token_column(name: str, value: Any) -> bytes:
    """A list of token ids as a column. Raises InvalidRequest."""
    if type(value) is not list or not all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in value):
        raise wrong(name, "a list of token ids (integers from 0)", value)
    return pack(array("i", value))


@dataclass(frozen=True)
class TokenIds:
    """A list of token ids. Reads to a column. max_count 0: any number."""

    max_count: int = 0
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "array", "items": {"type": "integer"}})

    def read(self, name: str, value: Any) -> bytes:
        column = token_column(name, value)
        if self.max_count and len(value) > self.max_count:
            raise InvalidRequest(f"{name} has {len(value)} ids; {self.max_count} are allowed", param=name)
        return column


Prompt = str | bytes  # text, or a column of token ids


@dataclass(frozen=True)
class Prompts:
    """A string, a list of strings, a list of token ids, or a list of such lists. Reads to a list of `Prompt`."""

    schema: dict[str, Any] = field(
        default_factory=lambda: {
            "oneOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}},
                {"type": "array", "items": {"type": "integer"}},
                {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
            ]
        }
    )

    def read(self, name: str, value: Any) -> list[Prompt]:
        if type(value) is str:
            return [value]
        if type(value) is not list or not value:
            raise wrong(name, "a string, a list of strings, a list of token ids, or a list of such lists", value)
        first = type(value[0])
        if first is str and all(type(item) is str for item in value):
            return list(value)
        if first is list:
            columns: list[Prompt] = [token_column(name, item) for item in value]
            if not all(columns):
                raise InvalidRequest(f"{name} holds an empty list of token ids", param=name)
            return columns
        return [token_column(name, value)]


@dataclass(frozen=True)
class StreamOptions:
    """Reads to a bool for each of STREAM_OPTIONS."""

    schema: dict[str, Any] = field(
        default_factory=lambda: {
            "type": "object",
            "properties": {name: {"type": "boolean"} for name in STREAM_OPTIONS},
        }
    )

    def read(self, name: str, value: Any) -> dict[str, bool]:
        if type(value) is not dict:
            raise wrong(name, "an object", value)
        options = dict.fromkeys(STREAM_OPTIONS, False)
        for key, option in value.items():
            # Padding against an eavesdropper who measures sizes; it changes no text.
            if key not in options and key != "include_obfuscation":
                raise InvalidRequest(f"unknown field {name}.{key[:80]}", param=f"{name}.{key[:80]}")
            if option is not None:
                options[key] = BooleanType().read(f"{name}.{key}", option)
        return options
