"""How many tokens of prompt and output together a model serves."""

from pathlib import Path
from typing import Any

from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.rope_settings import rope_kind, rope_settings

Config = dict[str, Any]

MAX_FACTOR = 1024.0  # yarn models have far smaller ones; more would only overflow


def choose_context_length(config: Config, wanted: int, source: Path) -> int:
    """Returns the context length in tokens: `wanted`, or the model's own if that is 0.

    The own one is max_position_embeddings, but of longrope models the original context: past it they read all of a
    sequence with other frequencies, the cached part too, and shared KV pages can't follow that. Yarn was made to
    stretch positions by its factor: with it, `wanted` may go up to factor * original_max_position_embeddings.
    Raises ModelError, which names `source`, for more than the model has positions for.
    """
    longest: int = config["max_position_embeddings"]
    settings = rope_settings(config)
    original: Any = config.get("original_max_position_embeddings") or settings.get("original_max_position_embeddings")
    original = original if type(original) is int and original > 0 else longest
    kind, factor = rope_kind(settings), settings.get("factor")
    if kind == "longrope":
        longest = min(longest, original)
    own = longest
    if kind == "yarn" and isinstance(factor, int | float) and 1 < factor <= MAX_FACTOR:
        longest = max(longest, int(original * factor))
    if wanted > longest:
        raise ModelError(f"{source}: the model has {longest} positions, a context_length of {wanted} is more")
    return wanted or own
