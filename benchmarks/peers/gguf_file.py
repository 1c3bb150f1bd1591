"""The weights as llama.cpp reads them: a GGUF file in bfloat16, from which the other forms are quantized."""

import json
from pathlib import Path
from typing import Any


def write(model: Path, target: Path) -> None:
    """Of a Qwen2 folder. llama.cpp's own converter knows tokenizers by their hash, and refuses one of our making."""
    import gguf

    config: dict[str, Any] = json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(target, "qwen2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    _vocabulary(writer, model, config["vocab_size"])
    _tensors(writer, model, config["num_hidden_layers"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer: Any, model: Path, vocab_size: int) -> None:
    import gguf

    tokenizer = json.loads((model / "tokenizer.json").read_text())["model"]
    tokens = sorted(tokenizer["vocab"], key=tokenizer["vocab"].__getitem__)
    assert len(tokens) == vocab_size
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")  # cuts at spaces, and takes whole words from the vocabulary without merging
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * vocab_size)
    writer.add_token_merges(["a b"])  # none apply, but the list may not be missing
    writer.add_add_bos_token(False)


def _tensors(writer: Any, model: Path, num_layers: int) -> None:
    import gguf
    import numpy

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, num_layers)
    with (model / "model.safetensors").open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + size + begin)
            bits = numpy.frombuffer(file.read(end - begin), dtype=numpy.uint16).reshape(entry["shape"])
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if bits.ndim == 1:  # norms and biases are float32 there
                writer.add_tensor(target, (bits.astype(numpy.uint32) << 16).view(numpy.float32))
            else:
                writer.add_tensor(target, bits.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
