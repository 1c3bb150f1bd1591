"""A model on a device: its weights, its kernels, and the forward pass of a step."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xylem.kernels import registry
from xylem.kernels.interface import BatchMetadata, LogitsAdjustment, NoSuchQuantization, RowLogprobs
from xylem.services.executor.failures import no_number
from xylem.services.executor.kv_cache.pool import KvPool
from xylem.services.executor.model_config.architectures import decoder_config
from xylem.services.executor.models.decoder import Decoder, token_tensor
from xylem.services.executor.step.row import StepRow, fail_row
from xylem.services.executor.weights.loader import Progress, load_weights
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.protocol.columns import unpack

# Prompt tokens whose logits are computed at once: with a vocabulary of 150,000 they take 40 MB.
MAX_LOGPROB_TOKENS = 64


@dataclass(frozen=True, slots=True)
class HiddenStates:
    """Last hidden states [W, N] of the tokens that need them. Those of row i are [ends[i - 1], ends[i])."""

    tensor: Tensor
    ends: Sequence[int]


class LoadedModel:
    """The part that all model runners share. dtype: of weights and KV."""

    def __init__(
        self,
        card: ModelCard,
        *,
        device: torch.device,
        dtype: torch.dtype,
        kernels: str = "auto",
        quantization: str = "none",
        progress: Progress | None = None,
    ) -> None:
        """Loads the weights. Raises ModelError."""
        self.device = device
        self.dtype = dtype
        self.config = decoder_config(card)
        try:
            self.ops = registry.load(kernels, device)
            self.ops.packing(quantization)  # fails before the weights are loaded
        except (registry.NoSuchBackend, registry.BackendUnavailable, NoSuchQuantization) as error:
            raise ModelError(str(error)) from None
        parameters = load_weights(card.path, self.config, dtype=dtype, device=device, progress=progress)
        self.decoder = Decoder(self.config, parameters, self.ops, quantization=quantization)

    def new_pool(self, num_pages: int, page_size: int) -> KvPool:
        return KvPool(
            self.config, self.ops, num_pages=num_pages, page_size=page_size, dtype=self.dtype, device=self.device
        )

    def forward(self, rows: Sequence[StepRow], token_ids: Tensor, pool: KvPool) -> HiddenStates:
        """Runs the forward pass of a step. token_ids: [T], of all rows end to end."""
        layout = BatchMetadata.build(
            [(row.start, len(row.token_ids), row.pages) for row in rows], page_size=pool.page_size, device=self.device
        )
        needed: list[int] = []
        ends: list[int] = []
        end = 0
        for row in rows:
            end += len(row.token_ids)
            if row.targets:
                num_needed = len(row.token_ids) - row.first_target
            elif row.pooling == "mean":
                num_needed = len(row.token_ids)
            else:
                num_needed = 1  # of a prompt's chunk, too: see mark_failures
            needed.extend(range(end - num_needed, end))
            ends.append(len(needed))
        return HiddenStates(self.decoder.forward(token_ids, layout, pool, token_tensor(needed, self.device)), ends)

    def mark_failures(self, rows: Sequence[StepRow], are_finite: Sequence[bool]) -> None:
        """Marks the rows for whose last token the model has computed NaN or infinity. are_finite: see `finite_rows`."""
        for row, is_finite in zip(rows, are_finite, strict=True):
            if not is_finite:
                fail_row(row, no_number())

    def finite_rows(self, states: HiddenStates) -> Tensor:
        """Returns [rows] bool: whether the last token's state of each row is all numbers.

        One token that has none takes it from every later one of its sequence, whose attention reads it.
        """
        last = states.tensor
        if len(last) != len(states.ends):
            last = last[token_tensor([end - 1 for end in states.ends], self.device)]
        return last.sum(1, dtype=torch.float32).isfinite()  # a tenth of what looking at each number costs

    def compute_logits(self, rows: Sequence[StepRow], states: HiddenStates) -> Tensor:
        """Returns float32 logits [rows with sample, V]."""
        last = [end - 1 for end, row in zip(states.ends, rows, strict=True) if row.sample]
        tensor = states.tensor
        return self.decoder.compute_logits(
            tensor if len(last) == len(tensor) else tensor[token_tensor(last, self.device)]
        )

    def record_prompt_outputs(self, rows: Sequence[StepRow], states: HiddenStates) -> None:
        """Writes pooled states and log probabilities of prompts into the rows that ask for them."""
        for row, start, end in zip(rows, [0, *states.ends], states.ends, strict=False):
            if row.failure is not None:
                continue
            if row.pooling:
                pooled = states.tensor[end - 1 if row.pooling == "last" else start : end]
                # In float32: half precision need not have room for the sum of a long prompt.
                row.state = array("f", pooled.sum(0, dtype=torch.float32).tolist())
            elif row.targets:
                self._record_target_logprobs(row, states.tensor[start:end])

    def _record_target_logprobs(self, row: StepRow, states: Tensor) -> None:
        for first in range(0, len(row.targets), MAX_LOGPROB_TOKENS):
            targets = row.targets[first : first + MAX_LOGPROB_TOKENS]
            logits = self.decoder.compute_logits(states[first : first + len(targets)])
            row.target_logprobs += self.compute_logprobs(logits, targets, [row] * len(targets))

    def apply_logits_processors(self, logits: Tensor, rows: Sequence[StepRow], mask: Tensor | None) -> None:
        """Adjusts logits [B, V] float32 in place. mask: of GrammarMasks, on the model's device."""
        adjustments = [self._adjustment(row) for row in rows]
        if mask is not None or any(adjustment is not None for adjustment in adjustments):
            self.ops.adjust(logits, adjustments, mask)

    def _adjustment(self, row: StepRow) -> LogitsAdjustment | None:
        try:
            return None if row.logits_processor is None else row.logits_processor.adjustment()
        except Exception as error:
            fail_row(row, error)
            return None

    def record_logprobs(self, rows: Sequence[StepRow], logits: Tensor, token_ids: Sequence[int]) -> None:
        """Writes the log probabilities of sampled tokens into their rows. logits: of the model, not adjusted."""
        for row, scored in zip(rows, self.compute_logprobs(logits, token_ids, rows), strict=True):
            row.sampled_logprobs = scored

    def compute_logprobs(self, logits: Tensor, token_ids: Sequence[int], rows: Sequence[StepRow]) -> list[RowLogprobs]:
        """Returns the log probabilities that the rows ask for. logits: [B, V] of the model, not adjusted."""
        wanted = [row.logprobs for row in rows if row.logprobs is not None]
        asked = [unpack(each.token_ids) for each in wanted]
        return self.ops.score(logits, token_ids, [each.num_top for each in wanted], asked)
