"""The bare loop: the executor's engine driven in a process of its own, with no bus, no scheduler and no text.

It is told and answers as every peer (peers/protocol.py), and stands beside whole systems in bench_pipeline too.
"""

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence

import torch

from benchmarks.peers.protocol import Step, answer_on_stdout
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.shared.model_info.model_card import ModelCard, locate
from xylem.shared.protocol import Admit, GenerationParams, Plan, SamplingParams, SequenceStart, StopConditions
from xylem.shared.protocol.columns import pack

EPOCH = 1
PARAMS = GenerationParams(sampling=SamplingParams(temperature=0.0), stop_conditions=StopConditions(ignore_eos=True))


def start(
    model: str,
    *,
    dtype: str,
    kernels: str = "auto",
    quantization: str = "none",
    kv_bytes: int = 512 << 20,
    token_budget: int = 512,
) -> Engine:
    """An engine on this machine's CPU, warm, with as many threads as `xylem serve` would give it."""
    card = ModelCard.load(locate(model))
    runner = CpuModelRunner(
        card,
        device="cpu",
        dtype=getattr(torch, dtype),
        page_size=16,
        kv_bytes=kv_bytes,
        kernels=kernels,
        quantization=quantization,
    )
    runner.warm_up()
    runner.choose_num_threads()
    return Engine(runner, max_running=256, token_budget=token_budget, eos_token_ids=card.eos_token_ids, epoch=EPOCH)


def plan_of(
    prompts: Sequence[Sequence[int]], num_output: int, engine: Engine, number: int, *, num_unread: int | None = None
) -> Plan:
    """Everything admitted at once, with all the pages that it will ever need.

    num_unread: the last tokens of each prompt that are not cached, None: all. Those before count as read already,
    whatever their pages hold.
    """
    admits: list[Admit] = []
    first_page = 0
    for place, prompt in enumerate(prompts):
        num_cached = 0 if num_unread is None else len(prompt) - num_unread
        end_page = first_page - (-(len(prompt) + num_output) // engine.runner.page_size)
        admits.append(
            Admit(
                sequence_id=number * engine.max_running + place,
                token_ids=pack(prompt[num_cached:]),
                num_cached=num_cached,
                pages=pack(range(first_page, end_page)),
                max_new_tokens=num_output,
                offset=0,
                detokenizer="none",
                start=SequenceStart("none", 0, "none", "none", len(prompt), 0, params=PARAMS),
            )
        )
        first_page = end_page
    return Plan(scheduler="none", epoch=1, number=number, executor_epoch=EPOCH, admits=tuple(admits))


class InProcess:
    """Satisfies benchmarks.peers.protocol.Engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = itertools.count()

    def round(self, prompts: list[list[int]], num_output: int) -> Iterator[Step]:
        self._engine.apply(plan_of(prompts, num_output, self._engine, next(self._numbers)))
        started_s = time.perf_counter()
        while self._engine.has_work():
            num_tokens = len(self._engine.step().token_ids)
            yield time.perf_counter() - started_s, num_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--kv-bytes", type=int, default=512 << 20)
    parser.add_argument("--token-budget", type=int, default=512)
    arguments = parser.parse_args()
    engine = start(
        arguments.model,
        dtype=arguments.dtype,
        quantization=arguments.quantization,
        kv_bytes=arguments.kv_bytes,
        token_budget=arguments.token_budget,
    )
    answer_on_stdout(InProcess(engine))


if __name__ == "__main__":
    main()
