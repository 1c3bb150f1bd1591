"""The types of values that only the endpoints of vectors have."""

from dataclasses import dataclass

from xylem.services.gateway.fields.basic_types import TextType
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.services.gateway.fields.value_errors import wrong
from xylem.shared.runtime.errors import InvalidRequest


@dataclass(frozen=True)
class DocumentsType:
    """A list of texts, each as a string or as {"text": ...}. Reads to a list of strings."""

    @property
    def schema(self) -> JsonObject:
        document: JsonObject = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        return {"type": "array", "minItems": 1, "items": {"oneOf": [{"type": "string"}, document]}}

    def read_value(self, name: str, value: Json) -> list[str]:
        if type(value) is not list:
            raise wrong(name, "a list of texts", value)
        if not value:
            raise InvalidRequest(f"{name} is empty", param=name)
        return [
            TextType().read_value(f"{name}[{i}]", item.get("text") if type(item) is dict else item)
            for i, item in enumerate(value)
        ]
