"""What output in a form costs: JSON by a schema against free text, in one engine, without a pipeline around it.

    python -m benchmarks.bench_structured
    python -m benchmarks.bench_structured --shape qwen --streams 1 8 32 --tokens 64 --json structured.json

The same prompts, seeds and number of tokens, three ways: free; with a schema (an array of objects that never ends
within the measured tokens); and with the schema but no jump-forward, so that every token takes a step. The schema is
compiled before the clock starts. Ways take turns, round by round; the figure is the median of the rounds.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import qwen_05b
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.step.grammar_gate import grammar_gates
from xylem.services.executor.structured_output import GrammarBackend
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import (
    Admit,
    GenerationParams,
    Grammar,
    LogprobParams,
    Plan,
    SamplingParams,
    SequenceStart,
    StopConditions,
)
from xylem.shared.protocol.columns import pack

SCHEMA = {
    "type": "array",
    "minItems": 200,
    "items": {
        "type": "object",
        "properties": {
            "first_name": {"type": "string", "maxLength": 12},
            "favourite_colour": {"enum": ["red", "green", "blue"]},
            "year_of_birth": {"type": "integer", "minimum": 1900, "maximum": 2020},
        },
        "required": ["first_name", "favourite_colour", "year_of_birth"],
        "additionalProperties": False,
    },
}
GRAMMAR = Grammar("json_schema", json.dumps(SCHEMA))
FREE, STEPPED, JUMPING = "free", "schema, a step per token", "schema"
NO_JUMPS = LogprobParams()  # tokens that are scored come from steps of the model


@dataclass(frozen=True)
class Figure:
    """One way at one number of streams. to_free: ratio of the rates."""

    streams: int
    way: str
    tokens_per_s: float
    steps: int
    to_free: float


def params_of(seed: int, way: str) -> GenerationParams:
    return GenerationParams(
        sampling=SamplingParams(seed=seed, temperature=0.8),
        stop_conditions=StopConditions(ignore_eos=True),
        grammar=None if way == FREE else GRAMMAR,
        logprobs=NO_JUMPS if way == STEPPED else None,
    )


def run(engine: Engine, epoch: int, way: str, streams: int, num_tokens: int) -> tuple[float, int]:
    """(tokens/s, steps) of so many sequences, from admission to the last end."""
    num_pages = -(-(num_tokens + 16) // engine.runner.page_size)
    admits = tuple(
        Admit(
            sequence_id=i,
            token_ids=pack(range(100 + i, 116 + i)),
            num_cached=0,
            pages=pack(range(i * num_pages, (i + 1) * num_pages)),
            max_new_tokens=num_tokens,
            offset=0,
            detokenizer="",
            start=SequenceStart(f"r{i}", 0, "", "", 16, 0, params=params_of(i, way)),
        )
        for i in range(streams)
    )
    engine.apply(Plan("", epoch, 0, engine.epoch, admits=admits))
    first_step, made = engine.num_steps, 0
    started_s = time.perf_counter()
    while engine.num_running:
        made += len(engine.step().token_ids)
    return made / (time.perf_counter() - started_s), engine.num_steps - first_step


def measure(engine: Engine, arguments: argparse.Namespace) -> list[Figure]:
    figures = []
    epoch = 0
    for streams in arguments.streams:
        rates: dict[str, list[float]] = {FREE: [], STEPPED: [], JUMPING: []}
        steps: dict[str, int] = {}
        for number in range(arguments.rounds + 1):  # the first one warms up
            for way in rates:
                epoch += 1
                rate, steps[way] = run(engine, epoch, way, streams, arguments.tokens)
                if number:
                    rates[way].append(rate)
        medians = {way: statistics.median(found) for way, found in rates.items()}
        figures += [Figure(streams, way, medians[way], steps[way], medians[way] / medians[FREE]) for way in rates]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("demonstration", "qwen"), default="demonstration")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    qwen = arguments.shape == "qwen"
    folder = qwen_05b(Path(gettempdir()) / "xylem-bench") if qwen else MODEL_PATH
    card = ModelCard.load(folder)
    runner = CpuModelRunner(
        card,
        device="cpu",
        dtype=torch.bfloat16 if qwen else torch.float32,
        page_size=16,
        kv_bytes=512 << 20,
    )
    grammars = GrammarBackend(
        folder, vocab_size=card.vocab_size, end_ids=card.eos_token_ids
    )  # fmt: skip
    try:
        grammars.compile(GRAMMAR).result()
        engine = Engine(
            runner, max_running=256, token_budget=512, eos_token_ids=card.eos_token_ids, epoch=1,
            gates=[grammar_gates(grammars.compile)],
        )  # fmt: skip
        figures = measure(engine, arguments)
    finally:
        grammars.close()
    drawn = Table("streams", "way", title=f"{arguments.shape}, {arguments.tokens} tokens each")
    for heading in ("tokens/s", "steps", "to free"):
        drawn.add_column(heading, justify="right")
    for figure in figures:
        rate, ratio = f"{figure.tokens_per_s:.0f}", f"{figure.to_free:.2f}"
        drawn.add_row(str(figure.streams), figure.way, rate, str(figure.steps), ratio)
    Console().print(drawn)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
