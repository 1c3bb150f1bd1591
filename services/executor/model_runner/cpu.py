"""The model runner of a CPU: `launch` returns when the forward pass is done."""

from array import array
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xylem.services.executor.kv_cache.page_budget import page_bytes, pages_in_bytes
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.model_runner.loaded_model import HiddenStates, LoadedModel
from xylem.services.executor.model_runner.thread_count import ThreadCounts, choose_threads
from xylem.services.executor.models.decoder import token_tensor
from xylem.services.executor.step.grammar_masks import GrammarMasks
from xylem.services.executor.step.row import StepRow
from xylem.services.executor.weights.loader import Progress
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams


class CpuModelRunner:
    """A model with its KV pool. num_pages 0 allocates as many pages as kv_bytes holds."""

    runs_ahead = False

    def __init__(
        self,
        card: ModelCard,
        *,
        device: str,
        dtype: torch.dtype,
        page_size: int,
        num_pages: int = 0,
        kv_bytes: int,
        kernels: str = "auto",
        quantization: str = "none",
        progress: Progress | None = None,
    ) -> None:
        """Loads the weights. Raises ModelError."""
        config = decoder_config(card)
        self.page_size = page_size
        each_bytes = page_bytes(config, page_size=page_size, dtype=dtype)
        self.num_pages = num_pages or pages_in_bytes(kv_bytes, each_bytes)
        self.vocab_size = config.vocab_size
        self._model = LoadedModel(
            card,
            device=torch.device(device),
            dtype=dtype,
            kernels=kernels,
            quantization=quantization,
            progress=progress,
        )
        self.has_head = self._model.decoder.has_head
        self._masks = GrammarMasks(config.vocab_size)
        self._pool = self._model.new_pool(self.num_pages, page_size)
        self._threads: ThreadCounts | None = None  # None: as torch has it

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def launch_step(self, rows: Sequence[StepRow]) -> "ComputedStep":
        """Runs the forward pass of the rows; sampling comes later."""
        model = self._model
        sampling = [row for row in rows if row.sample]
        masks = self._masks.start_filling(sampling)
        states = self._forward(rows)
        model.mark_failures(rows, model.finite_rows(states).tolist())
        model.record_prompt_outputs(rows, states)
        if not sampling:
            return ComputedStep(list)
        logits = model.compute_logits(rows, states)
        return ComputedStep(lambda: self._sample(logits, sampling, None if masks is None else masks.result()))

    @torch.inference_mode()
    def compute_logits(self, rows: Sequence[StepRow]) -> Tensor:
        """Returns float32 logits [rows with sample=True, V]."""
        return self._model.compute_logits(rows, self._forward(rows))

    def _forward(self, rows: Sequence[StepRow]) -> HiddenStates:
        token_ids = [token for row in rows for token in row.token_ids]
        if self._threads is not None:
            self._threads.set_for(len(token_ids))
        return self._model.forward(rows, token_tensor(token_ids, self._model.device), self._pool)

    @torch.inference_mode()
    def _sample(self, logits: Tensor, rows: Sequence[StepRow], mask: Tensor | None) -> list[int]:
        model = self._model
        positions = [row.start + len(row.token_ids) for row in rows]
        with_logprobs = [index for index, row in enumerate(rows) if row.logprobs is not None]
        model_logits = logits[with_logprobs] if with_logprobs else None  # a copy: adjusting is done in place
        model.apply_logits_processors(logits, rows, mask)
        token_ids = model.ops.sample(logits, [row.sampling for row in rows], positions)
        # Of a row with NaN or infinity `sample` gives the first such token, so that one look finds it.
        sampled = logits[torch.arange(len(rows)), token_tensor(token_ids, model.device)]
        model.mark_failures(rows, (sampled < float("inf")).tolist())
        if model_logits is not None:
            model.record_logprobs(
                [rows[index] for index in with_logprobs], model_logits, [token_ids[index] for index in with_logprobs]
            )
        return token_ids

    def warm_up(self) -> None:
        """Runs a prompt and a decoding step, so that the first request does not pay for the set-up of torch."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.launch_step([StepRow([0] * num_tokens, 0, pages, True, SamplingParams(temperature=0.0))]).start_sampling()
        self._decode_once()

    def choose_num_threads(self) -> None:
        """Measures how many threads make steps fastest. In the step thread, before anything is served."""
        self._threads = choose_threads(self._decode_once, claim_work=self._model.ops.claims_work)

    def _decode_once(self) -> None:
        """Runs a decoding step of a few sequences, on whatever the pages hold."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.launch_step(
            [StepRow([0], num_tokens - 1, pages, True, SamplingParams(temperature=1.0))] * 4
        ).start_sampling()


class ComputedStep:
    """A step whose forward pass is done."""

    def __init__(self, sample: Callable[[], list[int]]) -> None:
        self._sample = sample
        self._token_ids: list[int] = []

    def start_sampling(self) -> None:
        self._token_ids = self._sample()

    def sampled_tokens(self) -> list[int]:
        return self._token_ids
