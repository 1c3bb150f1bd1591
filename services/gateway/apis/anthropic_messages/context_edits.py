"""The field context_management: what clients want cleared from a conversation before the model reads it."""

from xylem.services.gateway.fields.json_types import Json
from xylem.services.gateway.fields.nested_checks import mapping, only_keys, sequence
from xylem.shared.runtime.errors import InvalidRequest


def check_context_edits(value: Json) -> None:
    """Raises InvalidRequest that names the first edit that would clear something: none is made here."""
    asked = mapping("context_management", value or {})
    only_keys("context_management", asked, ("edits",))
    for i, each in enumerate(sequence("context_management.edits", asked.get("edits") or [])):
        where = f"context_management.edits[{i}]"
        edit = mapping(where, each, "an edit with a type")
        keeps_all = edit.get("keep") in ("all", {"type": "all"})
        if not (keeps_all and str(edit.get("type")).startswith("clear_thinking_")):
            raise InvalidRequest(
                f'{where} is not supported; what clears nothing is: clear_thinking_20251015 with keep "all"',
                param=where,
            )
