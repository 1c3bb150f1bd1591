"""Steps in flight on a GPU: launched, with the sampled tokens not read yet."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.services.executor.model_runner.cuda.device import Device, Download
from xylem.services.executor.model_runner.cuda.failed_rows import fail_marked
from xylem.services.executor.model_runner.cuda.host_sampler import HostSampler
from xylem.services.executor.model_runner.loaded_model import HiddenStates, LoadedModel
from xylem.services.executor.step.row import StepRow


class PendingTokens:
    """A step that was sampled with its forward pass: one token for each row, wanted or not."""

    def __init__(self, rows: Sequence[StepRow], token_ids: Download) -> None:
        self._rows = rows
        self._token_ids = token_ids

    def start_sampling(self) -> None:
        pass

    def sampled_tokens(self) -> list[int]:
        token_ids = fail_marked(self._rows, self._token_ids.wait().tolist())
        return [token_id for token_id, row in zip(token_ids, self._rows, strict=False) if row.sample]


class PendingSample:
    """Forward pass launched; sampling starts once the host applied grammars and penalties.

    logits: [D, V] float32, of the D rows in `sampling`; only rows that still have `sample` then are sampled. states: of
    all rows, when some need more than a token.

    Log probabilities and states are computed when they are read, after the forward pass of the next step, for which the
    host then waits: rare enough not to be worth a path of their own.
    """

    def __init__(
        self,
        model: LoadedModel,
        device: Device,
        sampler: HostSampler,
        *,
        rows: Sequence[StepRow],
        sampling: Sequence[StepRow],
        logits: Tensor,
        states: HiddenStates | None,
    ) -> None:
        self._model, self._device, self._sampler = model, device, sampler
        self._rows, self._sampling = rows, sampling
        self._are_finite = None if states is None else device.download(model.finite_rows(states))
        self._logits, self._states = logits, states
        self._sampled: Download
        self._with_logprobs: list[int] = []  # indices into the sampled rows
        self._model_logits: Tensor

    @torch.inference_mode()
    def start_sampling(self) -> None:
        remaining = [index for index, row in enumerate(self._sampling) if row.sample]
        logits = (
            self._logits if len(remaining) == len(self._sampling) else self._logits[self._upload_indices(remaining)]
        )
        rows = self._sampling = [self._sampling[index] for index in remaining]
        self._with_logprobs = [index for index, row in enumerate(rows) if row.logprobs is not None]
        if self._with_logprobs:
            self._model_logits = logits[
                self._upload_indices(self._with_logprobs)
            ]  # a copy: sampling changes the logits
        # Even with nothing to sample it is waited for: the host must not run further ahead than a step.
        self._sampled = self._sampler.sample(logits, rows) if rows else self._device.download(logits[:0, 0])

    @torch.inference_mode()
    def sampled_tokens(self) -> list[int]:
        token_ids = fail_marked(self._sampling, self._sampled.wait().tolist())
        if self._are_finite is not None:
            self._model.mark_failures(self._rows, self._are_finite.wait().tolist())
        if self._states is not None:
            self._model.record_prompt_outputs(self._rows, self._states)
        if self._with_logprobs:
            rows = [self._sampling[index] for index in self._with_logprobs]
            self._model.record_logprobs(rows, self._model_logits, [token_ids[index] for index in self._with_logprobs])
        return token_ids

    def _upload_indices(self, indices: Sequence[int]) -> Tensor:
        return self._device.upload(np.array(indices, dtype=np.int64))
