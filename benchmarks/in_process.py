"""The bare loop: the executor's engine driven in a process of its own, with no bus, no scheduler and no text.

Reads loads as JSON lines on stdin and answers each with a line; bench_pipeline keeps it beside the system it measures.
"""

import argparse
import itertools
import json
import sys
import time

import torch

from benchmarks.load import Load
from services.executor import threads
from services.executor.engine import Engine
from services.executor.runner import Runner
from shared.columns import pack
from shared.messages import Admit, Opening, Plan, Sampling
from shared.model_card import ModelCard, locate

EPOCH = 1


def plan_of(load: Load, engine: Engine, number: int, ids: "itertools.count[int]", seed: int) -> Plan:
    """Everything admitted at once, with all the pages that it will ever need."""
    page_size = engine.runner.page_size
    pages_each = -(-(load.num_prompt + load.num_output) // page_size)
    admits = tuple(
        Admit(
            sequence_id=next(ids),
            token_ids=pack(prompt),
            num_cached=0,
            pages=pack(range(i * pages_each, (i + 1) * pages_each)),
            max_new_tokens=load.num_output,
            offset=0,
            detokenizer="none",
            opening=Opening("none", 0, "none", "none", load.num_prompt, 0),
            sampling=Sampling(temperature=0.0),
            ignore_eos=True,
        )
        for i, prompt in enumerate(load.prompts(seed))
    )
    return Plan(scheduler="none", epoch=1, number=number, executor_epoch=EPOCH, admits=admits)


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
    ids = itertools.count()
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        seed = request.pop("seed")
        load = Load(**request)
        engine.apply(plan_of(load, engine, number, ids, seed))
        started_s = time.perf_counter()
        num_tokens = 0
        while engine.has_work():
            num_tokens += len(engine.step().token_ids)
        print(json.dumps({"tokens_per_s": num_tokens / (time.perf_counter() - started_s)}), flush=True)


if __name__ == "__main__":
    main()
