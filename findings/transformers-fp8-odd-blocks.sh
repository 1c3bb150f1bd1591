#!/usr/bin/env bash
# transformers 5.24.0 loads a block-scaled FP8 checkpoint on a CPU by dividing a weight's rows by the rows of its scale
# grid, whatever weight_block_size says. A weight of 192 rows with blocks of 128 has 2 rows of scales (for rows 0 to 127
# and 128 to 191), and gets blocks of 96: rows 96 to 127 are multiplied by the wrong scale, silently. So transformers is
# no reference for FP8 models with a dimension that is no multiple of 128.
#
# Seen with torch 2.13.0 (CPU) and safetensors 0.8 on Python 3.11: of the rows 0-95, 96-127 and 128-191 only the middle
# ones differ from weight * scale of their block. This script fails when that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.24.0 accelerate==1.15.0
cat > "$work/blocks.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = Path(sys.argv[1])
torch.manual_seed(0)
config = LlamaConfig(
    hidden_size=128, intermediate_size=192, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    vocab_size=64, tie_word_embeddings=False,
)
LlamaForCausalLM(config).save_pretrained(folder)

tensors = load_file(folder / "model.safetensors")
name = "model.layers.0.mlp.up_proj.weight"  # [192, 128]
for key in [key for key in tensors if ".layers." in key and tensors[key].ndim == 2]:
    rows, columns = tensors[key].shape
    grid = torch.ones(-(-rows // 128), -(-columns // 128))
    if key == name:
        grid[:, 0] = torch.tensor([1.0, 4.0])  # rows 0 to 127, rows 128 to 191
    tensors[key] = tensors[key].to(torch.float8_e4m3fn)
    tensors[key + "_scale_inv"] = grid
save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
told = json.loads((folder / "config.json").read_text())
told["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
(folder / "config.json").write_text(json.dumps(told))

model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
loaded = model.get_parameter(name).detach()
plain = tensors[name].float()
factor = (loaded / plain).nanmedian(dim=1).values
print("transformers", transformers.__version__)
for first, last, right in ((0, 95, 1.0), (96, 127, 1.0), (128, 191, 4.0)):
    print(f"rows {first}-{last}: multiplied by {sorted(set(factor[first:last + 1].tolist()))}, should be {right}")
assert set(factor[:96].tolist()) == {1.0}
assert set(factor[128:].tolist()) == {4.0}
assert set(factor[96:128].tolist()) == {4.0}, "these rows get their own block's scale now"
PYTHON
"$work/venv/bin/python" -W ignore "$work/blocks.py" "$work/model"
