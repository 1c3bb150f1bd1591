"""The bare loop: the executor's engine driven in a process of its own, with no bus, no scheduler and no text.

It is told and answers as every peer (peers/protocol.py), and stands beside whole systems in bench_pipeline too.
"""

import argparse
import itertools
import time
from collections.abc import Iterator

import torch

from benchmarks.peers.protocol import Step, answer_on_stdout
from services.executor import threads
from services.executor.engine import Engine
from services.executor.runner import Runner
from shared.columns import pack
from shared.messages import Admit, Opening, Plan, Sampling
from shared.model_card import ModelCard, locate

EPOCH = 1


class InProcess:
    """Satisfies benchmarks.peers.protocol.Engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._plans = itertools.count()
        self._ids = itertools.count()

    def round(self, prompts: list[list[int]], num_output: int) -> Iterator[Step]:
        self._engine.apply(self._plan(prompts, num_output))
        started_s = time.perf_counter()
        while self._engine.has_work():
            num_tokens = len(self._engine.step().token_ids)
            yield time.perf_counter() - started_s, num_tokens

    def _plan(self, prompts: list[list[int]], num_output: int) -> Plan:
        """Everything admitted at once, with all the pages that it will ever need."""
        pages_each = -(-(max(map(len, prompts)) + num_output) // self._engine.runner.page_size)
        admits = tuple(
            Admit(
                sequence_id=next(self._ids),
                token_ids=pack(prompt),
                num_cached=0,
                pages=pack(range(i * pages_each, (i + 1) * pages_each)),
                max_new_tokens=num_output,
                offset=0,
                detokenizer="none",
                opening=Opening("none", 0, "none", "none", len(prompt), 0),
                sampling=Sampling(temperature=0.0),
                ignore_eos=True,
            )
            for i, prompt in enumerate(prompts)
        )
        return Plan(scheduler="none", epoch=1, number=next(self._plans), executor_epoch=EPOCH, admits=admits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--kv-bytes", type=int, default=512 << 20)
    parser.add_argument("--token-budget", type=int, default=512)
    arguments = parser.parse_args()
    card = ModelCard.load(locate(arguments.model))
    runner = Runner(
        card,
        device="cpu",
        dtype=getattr(torch, arguments.dtype),
        page_size=16,
        num_pages=0,
        kv_bytes=arguments.kv_bytes,
    )
    runner.warm_up()
    threads.settle(runner.decode_once)
    engine = Engine(
        runner, max_running=256, token_budget=arguments.token_budget, eos_token_ids=card.eos_token_ids, epoch=EPOCH
    )
    answer_on_stdout(InProcess(engine))


if __name__ == "__main__":
    main()
