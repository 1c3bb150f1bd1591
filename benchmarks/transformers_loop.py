"""The same model in a plain loop over transformers' forward pass: a batch of equal lengths, greedy, one cache."""

import time

import torch
from transformers import AutoModelForCausalLM, DynamicCache


class TransformersLoop:
    """No padding, no scheduling, no admission: as fast as a loop of one's own around transformers gets."""

    def __init__(self, model: str, *, dtype: str) -> None:
        self._model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()

    @torch.inference_mode()
    def decode(self, num_rows: int, num_context: int, num_steps: int) -> float:
        """Seconds of num_steps steps of num_rows sequences, from num_context tokens on."""
        config = self._model.config
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        cache = DynamicCache()
        for layer in range(config.num_hidden_layers):
            shape = (num_rows, config.num_key_value_heads, num_context, head_dim)
            cache.update(*torch.randn(2, *shape).to(self._model.dtype), layer)
        tokens = torch.full((num_rows, 1), 300)
        started_s = time.perf_counter()
        for _ in range(num_steps):
            tokens = self._model(tokens, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
        return time.perf_counter() - started_s

    @torch.inference_mode()
    def prefill(self, num_tokens: int) -> float:
        """Seconds until the first token after a prompt."""
        tokens = torch.randint(300, 1000, (1, num_tokens))
        started_s = time.perf_counter()
        self._model(tokens, use_cache=True, logits_to_keep=1).logits.argmax(-1)
        return time.perf_counter() - started_s
