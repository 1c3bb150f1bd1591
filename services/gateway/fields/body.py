"""Request bodies: structs whose class is the table of fields that a JSON object is read by.

    class PingBody(Body):
        times: int = taken(IntegerType(1, 9), 1, "How often.")
        others = (*ignored("user"), only("priority", 0))

To support a field, take it out of `others`, give it an attribute, and use that where the request is built.
"""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, dataclass_transform

import msgspec

from xylem.services.gateway.fields.asks_nothing import asks_nothing, is_empty
from xylem.services.gateway.fields.field import Field, Support
from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.shared.runtime.errors import InvalidRequest

MISSPELT = 0.8  # the likeness of two names, of which the one is taken for the other


@dataclass_transform(kw_only_default=True, frozen_default=True)
class BodyMeta(msgspec.StructMeta):
    """Turns the fields that a class declares into rows of its table, and their defaults into those of the struct."""

    rows: Mapping[str, Field]  # by name, those of base classes among them

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> "BodyMeta":
        own = [dataclasses.replace(row, name=key) for key, row in namespace.items() if isinstance(row, Field)]
        for row in own:
            namespace[row.name] = row.default
            if row.required:
                del namespace[row.name]
        cls: BodyMeta = super().__new__(mcls, name, bases, namespace, frozen=True, kw_only=True)
        leading = [row for row in own if row.leads]
        inherited = [row for base in bases for row in getattr(base, "rows", {}).values()]
        following = [row for row in own if not row.leads]
        cls.rows = _by_name([*leading, *inherited, *following, *namespace.get("others", ())])
        taken = {row.name for row in cls.rows.values() if row.support is Support.TAKEN}
        assert taken == set(cls.__struct_fields__), f"attributes and fields of {name} differ"
        return cls


def _by_name(rows: Sequence[Field]) -> dict[str, Field]:
    by_name = {row.name: row for row in rows}
    assert len(by_name) == len(rows), "a field has two rows"
    return by_name


class Body(msgspec.Struct, metaclass=BodyMeta):
    """A request body. Its attributes are the fields that are taken; `others` are fields without an attribute."""

    others: ClassVar[Sequence[Field]] = ()

    @classmethod
    def read(cls, body: JsonObject) -> Self:
        """Returns every taken field with its value or default. Raises InvalidRequest that names the first bad field."""
        rows = cls.rows
        values: dict[str, Any] = {}
        for name, value in body.items():
            row = rows.get(name)
            if row is None:
                if _may_be_left_out(name, value, rows):
                    continue
                raise _unknown(name, rows)
            if value is None or row.support is Support.IGNORED:
                continue
            checked = row.read_value(value)
            if row.support is Support.TAKEN:
                values[name] = checked
        for row in rows.values():
            if row.required and row.name not in values:
                raise InvalidRequest(f"{row.name} is missing", param=row.name)
        return cls(**values)

    @classmethod
    def schema(cls) -> JsonObject:
        """Returns the JSON schema of the body, for /openapi.json."""
        properties: JsonObject = {}
        unsupported: list[Json] = []
        for row in cls.rows.values():
            if row.support in (Support.TAKEN, Support.PASSED):
                properties[row.name] = row.schema()
            elif row.support is Support.IGNORED:
                properties[row.name] = {"description": "Accepted; changes nothing."}
            elif row.neutral:
                properties[row.name] = {"enum": [*row.neutral, None], "description": "Not supported yet."}
            else:
                unsupported.append(row.name)
        return {
            "type": "object",
            "properties": properties,
            **({"x-unsupported": unsupported} if unsupported else {}),
            "required": [row.name for row in cls.rows.values() if row.required],
            "additionalProperties": False,  # more is let through where it asks for nothing
        }


def _may_be_left_out(name: str, value: Json, rows: Mapping[str, Field]) -> bool:
    """Tells whether an unknown field asks for nothing: false or 0 does if the field that it may be misspelt has that.

    So `temperatur: 0` is found out, and `include_everything: false` is let through.
    """
    if is_empty(value):
        return True
    near = difflib.get_close_matches(name, rows, n=1, cutoff=MISSPELT)
    return asks_nothing(value) and (not near or rows[near[0]].default == value)


def _unknown(name: str, known: Mapping[str, Field]) -> InvalidRequest:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InvalidRequest(f"unknown field {name[:80]}{hint}", param=name[:80])
