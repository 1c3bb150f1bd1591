"""A model folder of random weights, made on the device in seconds: 16 GB for the shape of Llama 3.1 8B."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.gpu.scale import Scale
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.weights.decoder_map import weight_slices
from xylem.shared.model_info.model_card import ModelCard

SHARD_BYTES = 4 << 30


def model_folder(scale: Scale, device: torch.device, parent: Path) -> Path:
    """Made once in `parent`; its tokenizer, which only serving needs, is not there yet."""
    path = parent / f"random-{scale.shape['hidden_size']}x{scale.shape['num_hidden_layers']}-{scale.dtype}"
    if (path / "model.safetensors.index.json").exists():
        return path
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": scale.dtype, "hidden_act": "silu",
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, **scale.shape,
    }  # fmt: skip
    (path / "config.json").write_text(json.dumps(config))
    dtype = getattr(torch, scale.dtype)
    draw = torch.Generator(device).manual_seed(0)
    files: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}
    for name, place in weight_slices(decoder_config(ModelCard.load(path))).items():
        values = torch.randn(place.shape, device=device, dtype=dtype, generator=draw) * 0.02
        shard[name] = (values if len(place.shape) > 1 else values + 1).cpu()
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            _save(path, shard, files)
    _save(path, shard, files)
    index = {"metadata": {}, "weight_map": files}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def _save(path: Path, shard: dict[str, torch.Tensor], files: dict[str, str]) -> None:
    """Writes the tensors as the next file and notes where they are."""
    if not shard:
        return
    name = f"model-{len(set(files.values())):05}.safetensors"
    save_file(shard, path / name, metadata={"format": "pt"})
    files.update(dict.fromkeys(shard, name))
    shard.clear()
