"""A body's class is its table: attributes and taken fields are the same, and both are checked when it is made."""

from collections.abc import Sequence
from typing import ClassVar

import pytest

from xylem.services.gateway.apis.routers import ROUTERS
from xylem.services.gateway.fields.basic_types import IntegerType
from xylem.services.gateway.fields.body import Body
from xylem.services.gateway.fields.field import Field, Support, ignored, only, required, taken
from xylem.shared.runtime.errors import InvalidRequest


def bodies(base: type[Body] = Body) -> list[type[Body]]:
    assert ROUTERS  # which import them all
    return [base, *(found for sub in base.__subclasses__() for found in bodies(sub))]


class BaseBody(Body):
    second: int = taken(IntegerType(0, 9), 2)

    others: ClassVar[Sequence[Field]] = ignored("user")


class PingBody(BaseBody):
    first: int = required(IntegerType(0, 9), leads=True)
    third: int | None = taken(IntegerType(0, 9))

    others = (only("priority", 0),)


@pytest.mark.parametrize("body", bodies())
def test_every_taken_field_is_an_attribute_and_no_other(body: type[Body]) -> None:
    rows = body.rows.values()
    assert {row.name for row in rows if row.support is Support.TAKEN} == set(body.__struct_fields__)
    assert all(name == row.name for name, row in body.rows.items())


def test_rows_are_leading_inherited_own_and_others() -> None:
    assert list(PingBody.rows) == ["first", "second", "user", "third", "priority"]


def test_values_are_attributes_that_do_not_change() -> None:
    ping = PingBody.read({"first": 1, "third": 3, "user": "x", "priority": 0})
    assert (ping.first, ping.second, ping.third) == (1, 2, 3)
    with pytest.raises(AttributeError):
        ping.first = 4
    with pytest.raises(InvalidRequest, match="first is missing"):
        PingBody.read({})


def test_an_attribute_without_a_field_is_refused() -> None:
    with pytest.raises(AssertionError, match="differ"):

        class LooseBody(Body):
            loose: int
