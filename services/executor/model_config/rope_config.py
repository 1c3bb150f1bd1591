"""Rotary embedding as config.json describes it."""

import math
from dataclasses import dataclass, field
from typing import Any

from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.rope_settings import rope_kind, rope_settings

Config = dict[str, Any]

ROPE_KINDS = ("default", "linear", "dynamic", "llama3", "yarn", "longrope")  # models/rope.py has a function for each


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary embedding. dim: rotated dimensions of each head. kind: one of ROPE_KINDS.

    max_positions: those of config.json, which formulas know. num_positions: those that are served.
    """

    theta: float
    dim: int
    kind: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    max_positions: int = 0
    num_positions: int = 0


def rope_config(config: Config, head_dim: int) -> RopeConfig:
    """Reads `rope_parameters` (one object), or `rope_scaling` beside `rope_theta` in older files. Raises ModelError."""
    parameters = rope_settings(config)
    nested = [name for name, value in parameters.items() if isinstance(value, dict)]
    if nested:
        raise ModelError(f"rope parameters by kind of layer ({', '.join(nested)}) are not supported")
    kind = rope_kind(parameters)
    for name in ("rope_type", "type"):
        parameters.pop(name, None)
    if kind not in ROPE_KINDS:
        raise ModelError(f"rope type {kind!r} is not supported; there are: {', '.join(ROPE_KINDS)}")
    theta = parameters.pop("rope_theta", None) or config.get("rope_theta") or 10_000.0
    partial = parameters.pop("partial_rotary_factor", None) or config.get("partial_rotary_factor") or 1.0
    original = config.get("original_max_position_embeddings")
    if original is not None:  # beside the parameters it counts more than among them
        parameters["original_max_position_embeddings"] = original
    return RopeConfig(
        theta=float(theta),
        dim=int(head_dim * partial),
        kind=kind,
        parameters=parameters,
        max_positions=config["max_position_embeddings"],
        num_positions=config["max_position_embeddings"],
    )


def yarn_magnitude(factor: float, mscale: float = 1.0) -> float:
    """Returns how much yarn lengthens queries and keys when it stretches positions by a factor."""
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0
