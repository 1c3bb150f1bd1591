"""The runner: rows of a step in, drawn tokens out. What the engine sees of the model."""

from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from kernels import ops
from services.executor import weights
from services.executor.kv_pool import KvPool, pages_that_fit
from services.executor.masks import Masks
from services.executor.models.decoder import Decoder, token_tensor
from services.executor.models.families import decoder_config
from services.executor.row import Row
from services.executor.weights import Progress
from shared.columns import unpack
from shared.messages import Sampling
from shared.model_card import ModelCard, ModelError

# Logits of so many prompt tokens at once: with a vocabulary of 150,000 they take 40 MB.
SCORED_AT_ONCE = 64


class Runner:
    """A model on a device, with its KV pool. num_pages 0 takes as many pages as kv_bytes holds."""

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
        self._device = torch.device(device)
        config = decoder_config(card)
        try:
            self._ops = ops.load(kernels, self._device)
            self._ops.packing(quantization)  # before all is read
        except (ops.NoSuchBackend, ops.BackendUnavailable, ops.NoSuchQuantization) as error:
            raise ModelError(str(error)) from None
        self.page_size = page_size
        self.num_pages = num_pages or pages_that_fit(kv_bytes, config, page_size=page_size, dtype=dtype)
        self.vocab_size = config.vocab_size
        parameters = weights.load(card.path, config, dtype=dtype, device=self._device, progress=progress)
        self._decoder = Decoder(config, parameters, self._ops, quantization=quantization)
        self._masks = Masks(config.vocab_size)
        self._pool = KvPool(
            config, self._ops, num_pages=self.num_pages, page_size=page_size, dtype=dtype, device=self._device
        )

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def step(self, rows: Sequence[Row]) -> list[int]:
        """Reads the tokens of all rows; one drawn token per row with sample=True, in order.

        Notes in the rows the scores and states that they want.
        """
        drawing = [row for row in rows if row.sample]
        masks = self._masks.begin(drawing)
        states, ends = self._states(rows)
        for row, start, end in zip(rows, [0, *ends], ends, strict=False):
            if row.pooling:
                of_row = states[end - 1] if row.pooling == "last" else states[start:end].sum(0)
                row.state = array("f", of_row.float().tolist())
            elif row.targets:
                self._score_targets(row, states[start:end])
        if not drawing:
            return []
        return self._draw(self._logits(rows, states, ends), drawing, None if masks is None else masks.result())

    @torch.inference_mode()
    def logits(self, rows: Sequence[Row]) -> Tensor:
        """float32 logits [rows with sample=True, V]."""
        return self._logits(rows, *self._states(rows))

    def _logits(self, rows: Sequence[Row], states: Tensor, ends: Sequence[int]) -> Tensor:
        last = [end - 1 for end, row in zip(ends, rows, strict=True) if row.sample]
        return self._decoder.logits(states if len(last) == len(states) else states[last])

    def _states(self, rows: Sequence[Row]) -> tuple[Tensor, list[int]]:
        """The last states [W, N] of the tokens that matter, and where those of each row end: its last one is there."""
        layout = ops.Layout.build(
            [(row.start, len(row.token_ids), row.pages) for row in rows], page_size=self.page_size, device=self._device
        )
        token_ids = token_tensor([token for row in rows for token in row.token_ids], self._device)
        wanted: list[int] = []
        ends: list[int] = []
        end = 0
        for row in rows:
            end += len(row.token_ids)
            if row.targets:
                num_wanted = len(row.token_ids) - row.first_scored
            elif row.pooling == "mean":
                num_wanted = len(row.token_ids)
            else:
                num_wanted = 1 if row.sample or row.pooling else 0
            wanted.extend(range(end - num_wanted, end))
            ends.append(len(wanted))
        states = self._decoder.forward(token_ids, layout, self._pool, token_tensor(wanted, self._device))
        return states, ends

    def _draw(self, logits: Tensor, rows: Sequence[Row], mask: Tensor | None) -> list[int]:
        positions = [row.start + len(row.token_ids) for row in rows]
        scored = [index for index, row in enumerate(rows) if row.scoring is not None]
        raw = logits[scored] if scored else None  # a copy: adjusting is done in place
        adjustments = [row.adjustment for row in rows]
        if mask is not None or any(adjustment is not None for adjustment in adjustments):
            self._ops.adjust(logits, adjustments, mask if mask is None else mask.to(self._device))
        drawn = self._ops.sample(logits, [row.sampling for row in rows], positions)
        if raw is not None:
            tokens = [drawn[index] for index in scored]
            for index, found in zip(scored, self._score(raw, tokens, [rows[i] for i in scored]), strict=True):
                rows[index].scored = found
        return drawn

    def _score_targets(self, row: Row, states: Tensor) -> None:
        for first in range(0, len(row.targets), SCORED_AT_ONCE):
            targets = row.targets[first : first + SCORED_AT_ONCE]
            logits = self._decoder.logits(states[first : first + len(targets)])
            row.target_scores += self._score(logits, targets, [row] * len(targets))

    def _score(self, logits: Tensor, token_ids: Sequence[int], rows: Sequence[Row]) -> list[ops.Scored]:
        scorings = [row.scoring for row in rows if row.scoring is not None]
        asked = [unpack(scoring.token_ids) for scoring in scorings]
        return self._ops.score(logits, token_ids, [scoring.num_top for scoring in scorings], asked)

    def warm_up(self) -> None:
        """A prompt and a decoding step, so that the first request does not pay for what torch sets up once."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.step([Row([0] * num_tokens, 0, pages, True, Sampling(temperature=0.0))])
        self.decode_once()

    def decode_once(self) -> None:
        """A decoding step of a few sequences, on whatever the pages hold: only before anything is served."""
        num_tokens = min(self.num_pages * self.page_size, 32)
        pages = array("i", range(-(-num_tokens // self.page_size)))
        self.step([Row([0], num_tokens - 1, pages, True, Sampling(temperature=1.0))] * 4)
