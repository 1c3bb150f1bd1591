"""Messages for tests, from parameters by their plain names."""

from typing import Any

from xylem.shared.protocol import GenerationParams, StopConditions


def gathered(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a message, with those of its GenerationParams and StopConditions gathered in `params`."""
    stops = {name: fields[name] for name in StopConditions.__struct_fields__ if name in fields}
    params = {name: fields[name] for name in GenerationParams.__struct_fields__ if name in fields}
    if stops:
        params["stop_conditions"] = StopConditions(**stops)
    rest = {name: value for name, value in fields.items() if name not in params and name not in stops}
    return rest | {"params": GenerationParams(**params)}
