"""Weights from safetensors files, tensor by tensor into their final places: nothing is held twice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from services.executor.models.config import DecoderConfig
from services.executor.models.parameters import WIDE, other_places, places, shapes
from services.executor.models.places import Place
from shared.model_card import ModelError, read_json

Progress = Callable[[int, int], None]

READ = (torch.float32, torch.bfloat16, torch.float16, torch.float64)

# Tensors that some files carry and no forward pass needs.
NEEDLESS = ("rotary_emb.inv_freq", "masked_bias", "attn.bias")


def load(
    path: Path, config: DecoderConfig, *, dtype: torch.dtype, device: torch.device, progress: Progress | None = None
) -> dict[str, Tensor]:
    """The parameters of `models.parameters.shapes`, in `dtype` but for the WIDE ones.

    progress(bytes done, bytes in all) is called after each tensor.
    Raises ModelError that names the file and tensor which is missing, too much, mis-shaped or truncated.
    """
    files = _files(path)
    wanted = places(config)
    known = wanted | other_places(config)
    parameters = {
        name: torch.empty(shape, dtype=torch.float32 if name.endswith(WIDE) else dtype, device=device)
        for name, shape in shapes(config).items()
    }
    num_bytes = sum(file.stat().st_size for file in files)
    done = 0
    unfilled = {name: parameter.numel() for name, parameter in parameters.items()}
    seen: set[str] = set()
    for file in files:
        for name, tensor in _tensors(file):
            place = known.get(name)
            if place is not None:
                _put(tensor, place, parameters, f"{file}: {name}")
                seen.add(name)
                unfilled[place.parameter] -= tensor.numel()
            elif not _is_needless(name, config):
                raise ModelError(f"{file}: there is no place for the tensor {name}")
            done += tensor.numel() * tensor.element_size()
            if progress is not None:
                progress(min(done, num_bytes), num_bytes)
    missing = sorted(name for name in wanted.keys() - seen if unfilled[wanted[name].parameter] > 0)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"{path}: the tensor {missing[0]}{more} is in none of its safetensors files")
    if progress is not None:
        progress(num_bytes, num_bytes)
    return parameters


def _files(path: Path) -> list[Path]:
    """The shards of the index, or the one file."""
    index = path / "model.safetensors.index.json"
    if index.exists():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelError(f"{index} has no weight_map")
        names = sorted(set(map(str, shards.values())))
        for name in names:
            if Path(name).name != name:
                raise ModelError(f"{index} names {name!r}: a shard lies in the folder itself")
        files = [path / name for name in names]
    else:
        files = [path / "model.safetensors"]
    for file in files:
        if not file.is_file():
            others = "; only safetensors are read" if list(path.glob("*.bin")) else ""
            raise ModelError(f"{file} is missing{others}")
    return files


def _is_needless(name: str, config: DecoderConfig) -> bool:
    """Whether a file may carry this tensor although nothing is done with it."""
    if name.endswith(NEEDLESS) or (name == "lm_head.weight" and config.tied_embeddings):
        return True
    unused = range(config.num_layers, config.num_layers + config.num_unused_layers)
    return name.startswith(tuple(f"model.layers.{i}." for i in unused))


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - the opened file is no mapping
                yield name, opened.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} can't be read, it may be truncated: {error}") from None


def _put(tensor: Tensor, place: Place, parameters: dict[str, Tensor], what: str) -> None:
    if tuple(tensor.shape) != place.shape:
        raise ModelError(f"{what} has the shape {tuple(tensor.shape)}, config.json says {place.shape}")
    if tensor.dtype not in READ:  # float8 among them: it means nothing without its scales
        raise ModelError(f"{what} is of type {tensor.dtype}; float32, bfloat16 and float16 are read")
    parameter = parameters[place.parameter]
    rows = parameter if place.expert is None else parameter[place.expert]
    rows[place.first : place.first + place.shape[0]].copy_(tensor)
