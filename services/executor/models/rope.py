"""Rotary embedding tables for each kind of scaling.

A kind is a function that gives inverse frequencies [R/2] and a factor on cos and sin.

`longrope` has two sets: one for sequences within the original context, one for longer ones. transformers recomputes
all KV of a sequence that outgrows it. Here pages are shared between sequences of any length, so that their KV can
depend on the position alone: up to the original context the short set, which is exact, after it the long one, which is
not what the model was trained for.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from xylem.services.executor.model_config.rope_config import RopeConfig, yarn_magnitude
from xylem.shared.model_info.model_card import ModelError

Scaled = tuple[Tensor, float]


def _plain(rope: RopeConfig) -> Tensor:
    return 1.0 / rope.theta ** (torch.arange(0, rope.dim, 2, dtype=torch.float32) / rope.dim)


def _default(rope: RopeConfig) -> Scaled:
    """Su et al. 2021."""
    return _plain(rope), 1.0


def _linear(rope: RopeConfig) -> Scaled:
    """Positions divided by a factor (Chen et al. 2023)."""
    return _plain(rope) / float(rope.parameters["factor"]), 1.0


def _llama3(rope: RopeConfig) -> Scaled:
    """Long wavelengths are stretched, short ones kept, those between blended (Llama 3.1)."""
    p = rope.parameters
    factor, low, high = float(p["factor"]), float(p["low_freq_factor"]), float(p["high_freq_factor"])
    original = float(p.get("original_max_position_embeddings") or rope.max_positions)
    plain = _plain(rope)
    wavelength = 2 * math.pi / plain
    smooth = (original / wavelength - low) / (high - low)
    blended = (1 - smooth) * plain / factor + smooth * plain
    scaled = torch.where(wavelength > original / low, plain / factor, plain)
    between = (wavelength <= original / low) & (wavelength >= original / high)
    return torch.where(between, blended, scaled), 1.0


def _yarn(rope: RopeConfig) -> Scaled:
    """Peng et al. 2023, with the variations of DeepSeek (mscale)."""
    p = rope.parameters
    original = float(p.get("original_max_position_embeddings") or rope.max_positions)
    factor = float(p["factor"]) if p.get("factor") else rope.max_positions / original

    def turns_at(rotations: float) -> float:
        return rope.dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(rope.theta))

    low, high = turns_at(float(p.get("beta_fast") or 32)), turns_at(float(p.get("beta_slow") or 1))
    if p.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rope.dim - 1)
    if low == high:
        high += 0.001
    ramp = ((torch.arange(rope.dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    plain = _plain(rope)
    attention = p.get("attention_factor")
    if attention is None:
        mscale, all_dim = p.get("mscale"), p.get("mscale_all_dim")
        attention = (
            yarn_magnitude(factor, mscale) / yarn_magnitude(factor, all_dim)
            if mscale and all_dim
            else yarn_magnitude(factor)
        )
    return plain / factor * ramp + plain * (1 - ramp), float(attention)


def _longrope_set(rope: RopeConfig, name: str) -> Scaled:
    """Ding et al. 2024."""
    p = rope.parameters
    original = float(p.get("original_max_position_embeddings") or rope.max_positions)
    factor = float(p["factor"]) if p.get("factor") else rope.max_positions / original
    attention = p.get("attention_factor")
    if attention is None:
        attention = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    return _plain(rope) / torch.tensor(p[name], dtype=torch.float32), float(attention)


def _long(rope: RopeConfig) -> Scaled:
    return _longrope_set(rope, "long_factor")


def _short(rope: RopeConfig) -> Scaled:
    return _longrope_set(rope, "short_factor")


# "dynamic" grows theta only past max_position_embeddings, where no request is admitted: within it is the plain one.
SCALINGS: dict[str, Callable[[RopeConfig], Scaled]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _default,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _long,
}


def tables(rope: RopeConfig) -> tuple[Tensor, Tensor]:
    """Returns cos and sin, float32 [num_positions, R/2] each. Raises ModelError when a parameter is missing."""
    try:
        cos, sin = _tables(rope, SCALINGS[rope.kind])
        if rope.kind == "longrope":
            border = int(rope.parameters.get("original_max_position_embeddings") or rope.max_positions)
            short_cos, short_sin = _tables(rope, _short)
            cos[:border], sin[:border] = short_cos[:border], short_sin[:border]
    except KeyError as error:
        raise ModelError(f"rope type {rope.kind} needs the parameter {error.args[0]}") from None
    return cos, sin


def _tables(rope: RopeConfig, kind: Callable[[RopeConfig], Scaled]) -> tuple[Tensor, Tensor]:
    frequencies, factor = kind(rope)
    angles = torch.outer(torch.arange(rope.num_positions, dtype=torch.float32), frequencies)
    return angles.cos() * factor, angles.sin() * factor
