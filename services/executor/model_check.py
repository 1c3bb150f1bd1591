"""Checks a model before any process starts, without torch: what can be told from its configuration.

`xylem serve` calls it, so that a model that can't be served is told in one line, at once.
"""

import math
from pathlib import Path

from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.weights.decoder_map import parameter_shapes
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.runtime.settings import ExecutorSettings

GIB = 1 << 30

# Bytes of an element; a matrix of int4 has a scale for each 32 of its elements.
QUANTIZED_BYTES = {"int8": 1.0, "int4": 0.5 + 2 / 32}


def check_model(card: ModelCard, settings: ExecutorSettings, *, free_bytes: int | None, num_executors: int = 1) -> None:
    """Raises ModelError when the executors could not load the model.

    free_bytes: the machine's memory that is free; None where nobody knows, or where a GPU's is what counts.
    """
    decoder_config(card)
    if free_bytes is None or settings.device not in ("auto", "cpu"):
        return
    weights = weight_bytes(card, settings)
    needed = num_executors * (weights + settings.kv_bytes)
    if needed > free_bytes:
        of_each = f" for each of {num_executors} executors" if num_executors > 1 else ""
        kv = f" and {settings.kv_bytes / GIB:.1f} GiB of KV (kv_bytes)" if settings.kv_bytes else ""
        raise ModelError(
            f"{card.path} takes {weights / GIB:.1f} GiB of weights{kv}{of_each}; {free_bytes / GIB:.1f} GiB of memory"
            f" are free here. {_advice(settings, num_executors)}"
        )


def weight_bytes(card: ModelCard, settings: ExecutorSettings) -> int:
    """Returns the bytes that the weights take in memory."""
    size = 2 if settings.dtype == "bfloat16" else 4
    quantized = QUANTIZED_BYTES.get(settings.quantization, size)
    total = 0.0
    for name, shape in parameter_shapes(decoder_config(card)).items():
        is_packed = len(shape) == 2 and name != "embedding"
        total += math.prod(shape) * (quantized if is_packed else size)
    return int(total)


def check_files(path: Path) -> None:
    """Raises ModelError when a model folder has no weights, or no tokenizer, that could be read."""
    if not any(path.glob("*.safetensors")):
        others = "; only safetensors are read" if any(path.glob("*.bin")) or any(path.glob("*.gguf")) else ""
        raise ModelError(f"{path} holds no weights (*.safetensors){others}")
    if not (path / "tokenizer.json").exists():
        raise ModelError(f"{path / 'tokenizer.json'} is missing; only models with a fast tokenizer can be served")


def _advice(settings: ExecutorSettings, num_executors: int) -> str:
    if num_executors > 1:
        return "Start fewer executors, see --replicas."
    if settings.dtype != "bfloat16":
        return "--dtype bfloat16 takes half of it."
    if settings.quantization == "none":
        return "--quantization int8 or int4 takes less."
    return "Take a smaller model."
