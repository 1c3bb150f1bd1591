"""Whole runs of an engine over a real model."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from tests.generation_params import gathered
from tests.services.executor.model_runner.cuda.recorded import RecordingDevice
from tests.services.executor.plans import EXECUTOR_EPOCH, admit, plan
from xylem.services.executor.engine.engine import Engine
from xylem.services.executor.engine.step_output import StepOutput
from xylem.services.executor.model_runner.cpu import CpuModelRunner
from xylem.services.executor.model_runner.cuda.runner import CudaModelRunner
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.step.grammar_gate import grammar_gates
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import FinishReason, Logprobs, SamplingParams, SequenceStart
from xylem.shared.protocol.columns import pack

GREEDY = SamplingParams(temperature=0.0)
RUNNERS = ("cpu", "cuda")


@dataclass
class Ran:
    """What became of one sequence. steps: steps in which it got tokens."""

    token_ids: list[int] = field(default_factory=list)
    finish: FinishReason = FinishReason.NONE
    scores: list[Logprobs] = field(default_factory=list)
    prompt_scores: Logprobs | None = None
    state: list[float] | None = None
    refusal: str = ""
    num_steps: int = 0


def runner_of(kind: str, folder: Path, *, page_size: int, num_pages: int, context_length: int = 0) -> Any:
    """A runner of a kind in RUNNERS, float32; "cuda" on a stand-in for the device, for at most 16 sequences."""
    card = ModelCard.load(folder)
    cpu = torch.device("cpu")
    if kind == "cpu":
        return CpuModelRunner(
            card, device="cpu", dtype=torch.float32, page_size=page_size, num_pages=num_pages, kv_bytes=0
        )
    return CudaModelRunner(
        LoadedModel(card, device=cpu, dtype=torch.float32, kernels="reference"),
        RecordingDevice(),
        page_size=page_size,
        max_running=16,
        token_budget=512,
        context_length=context_length or card.context_length,
        num_pages=num_pages,
    )


def engine_of(runner: Any, *, token_budget: int = 512, eos: Iterable[int] = (), compile_grammar: Any = None) -> Engine:
    return Engine(
        runner,
        max_running=16,
        token_budget=token_budget,
        eos_token_ids=eos,
        epoch=EXECUTOR_EPOCH,
        gates=[] if compile_grammar is None else [grammar_gates(compile_grammar)],
    )


def run(
    engine: Engine,
    *requests: dict[str, Any],
    wait: Callable[[], None] = lambda: None,
) -> list[Ran]:
    """Runs them together. A request: prompt, what else its parameters have; output_ids: of earlier attempts.

    wait: called when there is nothing to do although some are running.
    """
    pages = itertools.count()
    admits = []
    for sequence_id, request in enumerate(requests):
        more = dict(request)
        prompt, output_ids = list(more.pop("prompt")), list(more.pop("output_ids", ()))
        max_new_tokens = more.pop("max_new_tokens", 12)
        num_pages = -(-(len(prompt) + len(output_ids) + max_new_tokens) // engine.runner.page_size)
        admitted = admit(
            sequence_id,
            prompt + output_ids,
            [next(pages) for _ in range(num_pages)],
            max_new_tokens=max_new_tokens,
            offset=len(output_ids),
        )
        fields = gathered({"sampling": GREEDY, **more})
        start = SequenceStart(
            f"r{sequence_id}", 0, "g", "s", len(prompt), 0, output_ids=pack(output_ids), params=fields["params"]
        )
        penalised = start.params.sampling.repetition_penalty != 1.0
        admits.append(replace(admitted, start=start, seen_ids=pack(sorted(set(prompt))) if penalised else b""))
    assert engine.apply(plan(0, *admits))
    ran = [Ran() for _ in requests]
    while engine.num_running:
        if not engine.has_work():
            wait()
            continue
        _note(engine.step(), ran)
        engine.check_integrity()
    return ran


def _note(output: StepOutput, ran: list[Ran]) -> None:
    start = 0
    for row, sequence_id in enumerate(output.sequence_ids):
        one = ran[sequence_id]
        assert output.counts[row] == 0 or output.offsets[row] >= len(one.token_ids)
        one.token_ids += output.token_ids[start : start + output.counts[row]]
        one.num_steps += output.counts[row] > 0
        start += output.counts[row]
        one.finish = FinishReason(output.finishes[row])
        if row in output.logprobs:
            one.scores.append(output.logprobs[row])
        if row in output.prompt_logprobs:
            one.prompt_scores = output.prompt_logprobs[row]
    for sequence_start, state in output.embedded:
        ran[int(sequence_start.request_id[1:])].state = list(state)
    for sequence_start, failed in output.refused:
        ran[int(sequence_start.request_id[1:])].refusal = str(failed)
