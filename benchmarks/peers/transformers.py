"""transformers: `generate` with a static batch in process, and `transformers serve` with continuous batching."""

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import KV_TOKENS, About, Step, main

ABOUT = About(
    requirements=("transformers[serving]==5.23.0", "torch==2.13.0", "accelerate==1.15.0"),
    variants=("bf16",),
    ready_path="/health",  # its /v1/models fails where nothing was ever downloaded
)
BLOCK = 16


def prepare(model: Path, work: Path, variant: str) -> None:
    """It reads the folder as it is."""


class Transformers:
    def __init__(self, model: Path, work: Path, variant: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()

    def round(self, prompts: list[list[int]], num_output: int) -> Iterable[Step]:
        """Prompts are of one length, so that there is no padding."""
        import torch

        ids = torch.tensor(prompts)
        steps: list[Step] = []
        started_s = time.perf_counter()

        def stepped(input_ids: Any, scores: Any, **_: Any) -> Any:
            """Asked after each step whether to stop: never, but it tells the time."""
            steps.append((time.perf_counter() - started_s, len(prompts)))
            return torch.zeros(len(prompts), dtype=torch.bool)

        with torch.inference_mode():
            self._model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
                min_new_tokens=num_output, max_new_tokens=num_output, stopping_criteria=[stepped],
            )  # fmt: skip
        return steps


def serve(model: Path, work: Path, variant: str, port: int) -> None:
    tool = str(Path(sys.executable).with_name("transformers"))
    batching = ("--continuous-batching", "--cb-block-size", str(BLOCK), "--cb-num-blocks", str(KV_TOKENS // BLOCK))
    where = ("--device", "cpu", "--dtype", "bfloat16", "--host", "127.0.0.1", "--port", str(port))
    os.execv(tool, [tool, "serve", str(model), *batching, *where])


if __name__ == "__main__":
    main(prepare, Transformers, serve)
