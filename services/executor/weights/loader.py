"""Loads a checkpoint tensor by tensor into the final parameters: nothing is held twice."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from xylem.services.executor.model_config.decoder_config import DecoderConfig
from xylem.services.executor.model_config.quantization_config import Block
from xylem.services.executor.weights.checkpoint import Checkpoint
from xylem.services.executor.weights.decoder_map import WIDE, alternative_slices, parameter_shapes, weight_slices
from xylem.services.executor.weights.formats import fp8
from xylem.services.executor.weights.tensor_names import BASE, HEAD, by_standard_name
from xylem.services.executor.weights.weight_slice import WeightSlice
from xylem.shared.model_info.model_card import ModelError

Progress = Callable[[int, int], None]

READ = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

# Tensors that some files carry and no forward pass needs.
NEEDLESS = ("rotary_emb.inv_freq", "masked_bias", "attn.bias")


def load_weights(
    path: Path, config: DecoderConfig, *, dtype: torch.dtype, device: torch.device, progress: Progress | None = None
) -> dict[str, Tensor]:
    """Returns the parameters of `decoder_map.parameter_shapes`, in `dtype` but for the WIDE ones.

    "head" is missing when the file is that of a decoder without one, as embedding models are saved.
    progress(bytes done, bytes in all) is called after each tensor.
    Raises ModelError that names the file and the tensor that is missing, unknown, mis-shaped or truncated.
    """
    wanted = weight_slices(config)
    known = wanted | alternative_slices(config)
    parameters = {
        name: torch.empty(shape, dtype=torch.float32 if name.endswith(WIDE) else dtype, device=device)
        for name, shape in parameter_shapes(config).items()
    }
    unfilled = {name: parameter.numel() for name, parameter in parameters.items()}
    done = 0
    with Checkpoint.open(path) as checkpoint:
        num_bytes = checkpoint.num_bytes
        names = by_standard_name(checkpoint.files, known)
        for standard, name in names.items():
            file, tensor, weight_slice = checkpoint.files[name], checkpoint.read_tensor(name), known.get(standard)
            done += tensor.nbytes
            if weight_slice is not None:
                if config.fp8_block is not None and tensor.dtype == fp8.TYPE and tensor.dim() == 2:
                    tensor = _widened(tensor.to(device), name, checkpoint, config.fp8_block)
                _put(tensor, weight_slice, parameters, f"{file}: {name}")
                unfilled[weight_slice.parameter] -= tensor.numel()
            elif not _is_needless(standard, config):
                raise ModelError(f"{file}: there is no place for the tensor {name}")
            if progress is not None:
                progress(min(done, num_bytes), num_bytes)
        if _is_saved_without_head(names, unfilled):
            del parameters["head"], unfilled["head"]
            wanted = {name: each for name, each in wanted.items() if each.parameter != "head"}
        missing = sorted(name for name in wanted.keys() - names.keys() if unfilled[wanted[name].parameter] > 0)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"{path}: the tensor {missing[0]}{more} is in none of its safetensors files")
    if progress is not None:
        progress(num_bytes, num_bytes)
    return parameters


def _is_saved_without_head(names: dict[str, str], unfilled: dict[str, int]) -> bool:
    """Whether the file is that of a decoder without its head: it has none, and its names do not begin with BASE."""
    headless = unfilled.get("head", 0) > 0 and HEAD not in names
    return headless and not any(name.startswith(BASE) for name in names.values())


def _is_needless(name: str, config: DecoderConfig) -> bool:
    """Whether a file may carry this tensor although no parameter takes it."""
    if name.endswith(NEEDLESS) or (name == HEAD and config.tied_embeddings):
        return True
    if config.fp8_block is not None and name.endswith(fp8.SCALES):
        return True
    unused = range(config.num_layers, config.num_layers + config.num_unused_layers)
    return name.removeprefix(BASE).startswith(tuple(f"layers.{i}." for i in unused))


def _widened(weight: Tensor, name: str, checkpoint: Checkpoint, block: Block) -> Tensor:
    scales_name = name + fp8.SCALES
    what = f"{checkpoint.files[name]}: {name}"
    if scales_name not in checkpoint.files:
        raise ModelError(f"{what} is in FP8, and there is no {scales_name}")
    scales, expected = checkpoint.read_tensor(scales_name), fp8.num_scales(weight.shape, block)
    if tuple(scales.shape) != expected:
        raise ModelError(f"{what} has scales of the shape {tuple(scales.shape)}; with its blocks they are {expected}")
    return fp8.widened(weight, scales.to(weight.device), block)


def _put(tensor: Tensor, weight_slice: WeightSlice, parameters: dict[str, Tensor], what: str) -> None:
    if tuple(tensor.shape) != weight_slice.shape:
        raise ModelError(f"{what} has the shape {tuple(tensor.shape)}, config.json says {weight_slice.shape}")
    if tensor.dtype not in READ:
        raise ModelError(f"{what} is of type {tensor.dtype}; float32, bfloat16 and float16 are read")
    parameter = parameters[weight_slice.parameter]
    rows = parameter if weight_slice.expert is None else parameter[weight_slice.expert]
    rows[weight_slice.first : weight_slice.first + weight_slice.shape[0]].copy_(tensor)
