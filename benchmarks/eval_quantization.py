"""What fewer bits cost the built-in model: perplexity of texts that it was never shown, and how often it would say the
same.

    python -m benchmarks.eval_quantization
    python -m benchmarks.eval_quantization --count 20 --json quality.json

The texts: answers to held-out prompts of every kind (see tools/demo_model/README.md), which the model knows nearly for
certain, and new passages of prose, which nobody can. The executor's own runner reads them and scores each token.
Agreement: at how many places the likeliest token is the one that float32 weights give.
"""

import argparse
import json
import math
import time
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import torch
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from tools.demo_model.batches import IGNORED, Document, encode
from tools.demo_model.chat import pieces
from tools.demo_model.evaluate import held_out
from tools.demo_model.kinds import KINDS
from tools.demo_model.prose import passage
from xylem.demo_model import MODEL_PATH
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.step.row import StepRow
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import LogprobParams, SamplingParams

FORMS = [("float32", "none"), ("bfloat16", "none"), ("bfloat16", "int8"), ("bfloat16", "int4")]
PAGE_SIZE = 16
PASSAGES = 4  # for each conversation of a kind


@dataclass(frozen=True)
class Text:
    """own: which of the tokens from the second on are the model's to say."""

    token_ids: list[int]
    own: list[bool]


@dataclass(frozen=True)
class Read:
    """Log probability of each of the model's own tokens, and the likeliest token in its place."""

    log_probs: list[float]
    likeliest: list[int]


@dataclass(frozen=True)
class Quality:
    """Perplexities of prose and answers; agreement: a share of the tokens of both."""

    dtype: str
    quantization: str
    prose: float
    answers: float
    agreement: float


def encoded(documents: list[Document]) -> list[Text]:
    tokenizer = Tokenizer.from_file(str(MODEL_PATH / "tokenizer.json"))
    return [
        Text(token_ids, [label != IGNORED for label in labels[1:]])
        for token_ids, labels in encode(tokenizer, documents)
    ]


def read(texts: list[Text], runner: CpuModelRunner) -> Read:
    found = Read([], [])
    for text in texts:
        pages = array("i", range(-(-len(text.token_ids) // PAGE_SIZE)))
        row = StepRow(
            text.token_ids[:-1],
            0,
            pages,
            False,
            SamplingParams(),
            logprobs=LogprobParams(num_top=1),
            targets=text.token_ids[1:],
        )
        runner.launch_step([row])
        for scored, own in zip(row.target_logprobs, text.own, strict=True):
            if own:
                found.log_probs.append(scored.logprob)
                found.likeliest.append(scored.top_ids[0])
    return found


def perplexity(log_probs: list[float]) -> float:
    return math.exp(-sum(log_probs) / len(log_probs))


def qualities(count: int, kernels: str) -> list[Quality]:
    card = ModelCard.load(MODEL_PATH)
    rng = Random(2)
    prose = encoded([[(passage(rng), True)] for _ in range(PASSAGES * count)])
    conversations = [each for kind in KINDS for each in held_out(kind, count, seed=2)]
    answers = encoded([pieces(each.with_answer, each.tools) for each in conversations])
    found: list[Quality] = []
    exact: list[int] = []
    for dtype, quantization in FORMS:
        runner = CpuModelRunner(
            card, device="cpu", dtype=getattr(torch, dtype), page_size=PAGE_SIZE, num_pages=256, kv_bytes=0,
            kernels=kernels, quantization=quantization,
        )  # fmt: skip
        of_prose, of_answers = read(prose, runner), read(answers, runner)
        likeliest = of_prose.likeliest + of_answers.likeliest
        exact = exact or likeliest
        agreeing = sum(given == wanted for given, wanted in zip(likeliest, exact, strict=True))
        found.append(
            Quality(
                dtype, quantization, perplexity(of_prose.log_probs), perplexity(of_answers.log_probs),
                agreeing / len(exact),
            )
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=25, help="conversations of each kind, at most")
    parser.add_argument("--kernels", default="auto", help="the backend")
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    arguments = parser.parse_args()
    when = time.strftime("%Y-%m-%d %H:%M")
    found = qualities(arguments.count, arguments.kernels)
    drawn = Table("activations", "weights", "prose", "answers", "agreement", title=f"perplexity, {when}")
    for each in found:
        weights = each.dtype if each.quantization == "none" else each.quantization
        drawn.add_row(each.dtype, weights, f"{each.prose:.4f}", f"{each.answers:.5f}", f"{each.agreement:.2%}")
    Console().print(drawn)
    if arguments.json:
        arguments.json.write_text(json.dumps({"when": when, "results": [asdict(each) for each in found]}, indent=1))


if __name__ == "__main__":
    main()
