"""The runner of a CPU: a step is done when it has been launched."""

from array import array
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xylem.services.executor.kv_cache.page_budget import page_bytes, pages_in_bytes
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.model_runner.loaded_model import LoadedModel, States
from xylem.services.executor.model_runner.threads import Threads, settle
from xylem.services.executor.models.decoder import token_tensor
from xylem.services.executor.step.grammar_masks import GrammarMasks
from xylem.services.executor.step.row import StepRow
from xylem.services.executor.weights.loader import Progress
from xylem.shared.model_info.model_card import ModelCard
from xylem.shared.protocol import SamplingParams


class CpuModelRunner:
    """A model with its KV pool. num_pages 0 takes as many pages as kv_bytes holds."""

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
        self._masks = GrammarMasks(config.vocab_size)
        self._pool = self._model.new_pool(self.num_pages, page_size)
        self._threads: Threads | None = None  # as torch has it

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def launch(self, rows: Sequence[StepRow]) -> "ComputedStep":
        """Reads the tokens of all rows."""
        model = self._model
        drawing = [row for row in rows if row.sample]
        masks = self._masks.begin(drawing)
        states = self._read(rows)
        model.note(rows, states)
        if not drawing:
            return ComputedStep(list)
        logits = model.logits(rows, states)
        return ComputedStep(lambda: self._draw(logits, drawing, None if masks is None else masks.result()))

    @torch.inference_mode()
    def logits(self, rows: Sequence[StepRow]) -> Tensor:
        """float32 logits [rows with sample=True, V]."""
        return self._model.logits(rows, self._read(rows))

    def _read(self, rows: Sequence[StepRow]) -> States:
        token_ids = [token for row in rows for token in row.token_ids]
        if self._threads is not None:
            self._threads.take(len(token_ids))
        return self._model.read(rows, token_tensor(token_ids, self._model.device), self._pool)

    @torch.inference_mode()
    def _draw(self, logits: Tensor, rows: Sequence[StepRow], mask: Tensor | None) -> list[int]:
        model = self._model
        positions = [row.start + len(row.token_ids) for row in rows]
        scored = [index for index, row in enumerate(rows) if row.scoring is not None]
        raw = logits[scored] if scored else None  # a copy: adjusting is done in place
        model.bend(logits, rows, mask)
        drawn = model.ops.sample(logits, [row.sampling for row in rows], positions)
        if raw is not None:
            model.note_drawn([rows[index] for index in scored], raw, [drawn[index] for index in scored])
        return drawn

    def warm_up(self) -> None:
        """A prompt and a decoding step, so that the first request does not pay for what torch sets up once."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.launch([StepRow([0] * num_tokens, 0, pages, True, SamplingParams(temperature=0.0))]).draw()
        self._decode_once()

    def settle_threads(self) -> None:
        """Finds out how many threads make steps faster. In the thread that makes them, before anything is served."""
        self._threads = settle(self._decode_once, claim_work=self._model.ops.claims_work)

    def _decode_once(self) -> None:
        """A decoding step of a few sequences, on whatever the pages hold."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.launch([StepRow([0], num_tokens - 1, pages, True, SamplingParams(temperature=1.0))] * 4).draw()


class ComputedStep:
    """A step whose forward pass is done."""

    def __init__(self, draw: Callable[[], list[int]]) -> None:
        self._draw = draw
        self._token_ids: list[int] = []

    def draw(self) -> None:
        self._token_ids = self._draw()

    def tokens(self) -> list[int]:
        return self._token_ids
