"""Values by which a client asks for nothing: a field that has one may be left out, whatever the field means."""

from xylem.services.gateway.fields.json_types import Json


def asks_nothing(value: Json) -> bool:
    """Tells whether `value` is null, false, zero, empty, or an object or list of nothing but such values.

    Clients write down the defaults of their own types in this way, and it is they who know all of these fields.
    """
    pending = [value]
    while pending:  # a body may be nested as deeply as its parser allows
        each = pending.pop()
        if isinstance(each, dict):
            pending += each.values()
        elif isinstance(each, list):
            pending += each
        elif each:
            return False
    return True


def is_empty(value: Json) -> bool:
    """Tells the same of null, empty strings, lists and objects alone: false and zero may be an answer to something."""
    return value is None or (isinstance(value, str | list | dict) and asks_nothing(value))
