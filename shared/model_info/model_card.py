"""A model card says where a model lies and what its configuration says, without torch."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xylem import PACKAGE_PATH
from xylem.shared.model_info.context_length import choose_context_length
from xylem.shared.model_info.model_error import ModelError
from xylem.shared.model_info.model_files import parse_object, read_json

log = logging.getLogger(__name__)

INT32_MAX = 2**31 - 1  # ids and positions are columns of int32

__all__ = ["ModelCard", "ModelError", "is_folder", "locate", "parse_overrides", "read_json"]

DEMONSTRATION = "demonstration"

# Of generation_config.json: how its makers would have a model's tokens drawn, with the values that make sense.
SAMPLING = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (-1, INT32_MAX),  # -1 and 0 are no limit
    "min_p": (0, 1),
    "repetition_penalty": (0.001, 2),
}

CONFIGURATION = ["*.json", "*.jinja", "*.txt", "*.model"]
WEIGHTS = ["*.safetensors"]


def locate(model: str, *, with_weights: bool = False) -> Path:
    """The folder of a model: 'demonstration', a path, or a hub id (downloaded, or taken from the hub's cache).

    with_weights: of a hub id the weights are wanted too, which only the executor reads. Raises ModelError.
    """
    if model == DEMONSTRATION:
        return PACKAGE_PATH / "demo_model" / "model"
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{model} is a file; the folder that holds config.json is needed")
    if path.is_absolute() or model.startswith((".", "~")) or model.count("/") != 1:
        raise ModelError(f"there is no model folder {model}")
    return _download(model, CONFIGURATION + WEIGHTS if with_weights else CONFIGURATION)


def is_folder(model: str) -> bool:
    """Whether a model is a folder on this machine, or the one that comes with the package; a hub's is not."""
    return model == DEMONSTRATION or Path(model).expanduser().is_dir()


def _download(model: str, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=patterns))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{model} is no folder here, and the hub did not give it: {reason}") from None


def parse_overrides(text: str) -> dict[str, Any]:
    """Returns what the setting `model_overrides` lays over config.json. Raises ModelError."""
    if not text:
        return {}
    try:
        return parse_object(text, "model_overrides")
    except ModelError as error:
        raise ModelError(f'{error}; it must be a JSON object, such as {{"rope_theta": 1000000.0}}') from None


def _ids(name: str, value: Any, path: Path) -> tuple[int, ...]:
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(i) is int for i in ids):
        raise ModelError(f"{path}: {name} must be an integer or a list of integers, not {str(value)[:200]!r}")
    return tuple(ids)


def _known(name: str, ids: tuple[int, ...], vocab_size: int, path: Path) -> tuple[int, ...]:
    """Leaves out the ids that no token has: a model can't write them, and kernels must not look for them."""
    unknown = [i for i in ids if not 0 <= i < vocab_size]
    if unknown:
        log.warning("%s: %s %s is outside the vocabulary of %d, and left out", path, name, unknown[:10], vocab_size)
    return tuple(i for i in ids if 0 <= i < vocab_size)


def _sampling(generation: dict[str, Any], path: Path) -> dict[str, float]:
    found = {name: generation[name] for name in SAMPLING if generation.get(name) is not None}
    for name, value in found.items():
        low, high = SAMPLING[name]
        if type(value) not in (int, float) or not low <= value <= high:
            raise ModelError(f"{path}: {name} must be a number from {low} to {high}, not {str(value)[:100]!r}")
    if generation.get("do_sample") is False:  # greedy; what shapes a draw beside it is not meant
        return {"temperature": 0.0} | {name: found[name] for name in ("repetition_penalty",) if name in found}
    return found


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The configuration of a model folder.

    context_length: most tokens of prompt and output together. eos_token_ids: those of config.json and of
    generation_config.json; what the tokenizer adds to them is in end_tokens.py.
    """

    path: Path
    architecture: str
    config: dict[str, Any]
    vocab_size: int
    context_length: int
    eos_token_ids: tuple[int, ...]
    bos_token_id: int | None
    sampling: dict[str, float] = field(default_factory=dict)  # what generation_config.json says: see SAMPLING

    @classmethod
    def load(cls, path: Path, *, context_length: int = 0, overrides: str = "") -> "ModelCard":
        """Reads config.json, and generation_config.json for the tokens that end a sequence. Raises ModelError.

        context_length: most tokens to serve, where that is not what the model says (0).
        overrides: a JSON object whose members take the place of those of config.json.
        """
        if not path.is_dir():
            raise ModelError(f"there is no model folder {path}")
        source = path / "config.json"
        config = read_json(source) | parse_overrides(overrides)
        architectures = config.get("architectures")
        if not isinstance(architectures, list) or not architectures:
            raise ModelError(f"{source} names no architecture")
        for name in ("vocab_size", "max_position_embeddings"):
            if type(config.get(name)) is not int or not 1 <= config[name] <= INT32_MAX:
                shown = str(config.get(name))[:100]
                raise ModelError(f"{source}: {name} must be a positive integer of 32 bits, not {shown!r}")
        generation_path = path / "generation_config.json"
        generation = read_json(generation_path) if generation_path.exists() else {}
        eos = (
            *_ids("eos_token_id", generation.get("eos_token_id"), generation_path),
            *_ids("eos_token_id", config.get("eos_token_id"), source),
        )
        bos = _ids("bos_token_id", config.get("bos_token_id"), source)
        return cls(
            path=path,
            architecture=str(architectures[0]),
            config=config,
            vocab_size=config["vocab_size"],
            context_length=choose_context_length(config, context_length, source),
            eos_token_ids=_known("eos_token_id", tuple(dict.fromkeys(eos)), config["vocab_size"], path),
            bos_token_id=next(iter(_known("bos_token_id", bos, config["vocab_size"], path)), None),
            sampling=_sampling(generation, generation_path),
        )
