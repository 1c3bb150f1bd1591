"""The rotary embedding's part of config.json, wherever a file has it."""

from typing import Any

Config = dict[str, Any]

OLD_NAMES = {"su": "longrope"}  # in early Phi-3 files


def rope_settings(config: Config) -> Config:
    """Returns a copy of `rope_scaling`, or else of `rope_parameters`; empty when a file has neither.

    Where a file has both, `rope_scaling` alone counts, as in transformers
    (modeling_rope_utils.convert_rope_params_to_dict): it is what people add to a file to lengthen its context.
    """
    for name in ("rope_scaling", "rope_parameters"):
        if isinstance(found := config.get(name), dict) and found:
            return dict(found)
    return {}


def rope_kind(settings: Config) -> str:
    """Returns the kind of scaling that rope_settings name, by its present name; "default" is none."""
    kind = str(settings.get("rope_type") or settings.get("type") or "default")
    return OLD_NAMES.get(kind, kind)
