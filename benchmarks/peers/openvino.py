"""OpenVINO GenAI: ContinuousBatchingPipeline, computing in bfloat16, over weights of 16, 8 or 4 bits."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import KV_BYTES, MAX_RUNNING, About, Step, main

ABOUT = About(
    requirements=(
        "openvino==2026.4.1", "openvino-genai==2026.4.1.0", "openvino-tokenizers==2026.4.1.0", "optimum-intel==2.2.0",
        "nncf==3.4.0", "torch==2.13.0",
    ),
    variants=("bf16", "int8", "int4"),
    without=("torchvision",),  # PyPI's belongs to the CUDA build of torch, and fails beside the CPU's
)  # fmt: skip
WEIGHTS = {"bf16": "fp16", "int8": "int8", "int4": "int4"}


def prepare(model: Path, work: Path, variant: str) -> None:
    target = work / variant
    if not (target / "openvino_model.bin").exists():
        tool = str(Path(sys.executable).with_name("optimum-cli"))
        task = ("--task", "text-generation-with-past", "--weight-format", WEIGHTS[variant])
        subprocess.run([tool, "export", "openvino", "--model", str(model), *task, str(target)], check=True)


def pipeline(work: Path, variant: str, *, prefix_cache: bool) -> Any:
    import openvino_genai

    scheduling = openvino_genai.SchedulerConfig()
    scheduling.cache_size = KV_BYTES >> 30
    scheduling.max_num_seqs = MAX_RUNNING
    scheduling.max_num_batched_tokens = 2048
    scheduling.enable_prefix_caching = prefix_cache
    properties = {"INFERENCE_PRECISION_HINT": "bf16"}
    return openvino_genai.ContinuousBatchingPipeline(str(work / variant), scheduling, "CPU", properties)


def greedy(num_output: int) -> Any:
    """To exactly so many tokens: random weights have no end of their own, but the pipeline wants to know one."""
    import openvino_genai

    generation = openvino_genai.GenerationConfig()
    generation.max_new_tokens = num_output
    generation.set_eos_token_id(0)
    generation.ignore_eos = True
    generation.do_sample = False
    return generation


def tensor(prompt: list[int]) -> Any:
    import numpy
    import openvino

    return openvino.Tensor(numpy.array([prompt], dtype=numpy.int64))


class OpenVino:
    def __init__(self, model: Path, work: Path, variant: str) -> None:
        self._pipeline = pipeline(work, variant, prefix_cache=False)

    def round(self, prompts: list[list[int]], num_output: int) -> Iterator[Step]:
        generation = greedy(num_output)
        started_s = time.perf_counter()
        handles = [self._pipeline.add_request(i, tensor(prompt), generation) for i, prompt in enumerate(prompts)]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            ended_s = time.perf_counter() - started_s
            outputs = [out for handle in handles if handle.can_read() for out in handle.read().values()]
            yield ended_s, sum(len(out.generated_ids) for out in outputs)


def serve(model: Path, work: Path, variant: str, port: int) -> None:
    from benchmarks.peers import openvino_server

    openvino_server.serve(pipeline(work, variant, prefix_cache=True), model, port)


if __name__ == "__main__":
    main(prepare, OpenVino, serve)
