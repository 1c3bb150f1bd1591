"""How large everything is that is measured: as on a GPU, or so small that a CPU runs it in a test."""

from dataclasses import dataclass
from typing import Any

LLAMA_8B = {
    "vocab_size": 128_256,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 8192,
    "rope_theta": 500_000.0,
}
TINY = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "rope_theta": 10_000.0,
}


@dataclass(frozen=True)
class Scale:
    """shape: of the model, by the names of config.json. copy_bytes, gemm_size: of the ceilings.

    rows: of kernels. batches, context, decode_steps: of decoding. num_requests, longest: of the mixed load. streams,
    num_prompt, num_output: of the load that is also served. kv_bytes 0: what memory leaves.
    """

    shape: dict[str, Any]
    dtype: str
    copy_bytes: int
    gemm_size: int
    rows: tuple[int, ...]
    batches: tuple[int, ...]
    context: int
    decode_steps: int
    num_requests: int
    longest: int
    streams: int
    num_prompt: int
    num_output: int
    token_budget: int
    max_running: int
    kv_bytes: int
    repeats: int


WHOLE = Scale(
    shape=LLAMA_8B, dtype="bfloat16", copy_bytes=4 << 30, gemm_size=8192, rows=(1, 32, 128, 256, 4096),
    batches=(1, 32, 128, 256), context=1024, decode_steps=64, num_requests=1000, longest=2048, streams=256,
    num_prompt=220, num_output=200, token_budget=4096, max_running=256, kv_bytes=0, repeats=20,
)  # fmt: skip
SMALL = Scale(
    shape=TINY, dtype="float32", copy_bytes=1 << 20, gemm_size=64, rows=(1, 5), batches=(1, 3), context=32,
    decode_steps=4, num_requests=6, longest=40, streams=3, num_prompt=12, num_output=6, token_budget=64,
    max_running=4, kv_bytes=8 << 20, repeats=2,
)  # fmt: skip
