"""Steps under way."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xylem.services.executor.model_runner.cuda.device import Device, Download
from xylem.services.executor.model_runner.cuda.drawing import HostSampler
from xylem.services.executor.model_runner.loaded_model import LoadedModel, States
from xylem.services.executor.step.row import StepRow


class PendingTokens:
    """A step whose draws were launched with it: one for each row, wanted or not."""

    def __init__(self, rows: Sequence[StepRow], token_ids: Download) -> None:
        self._rows = rows
        self._token_ids = token_ids

    def draw(self) -> None:
        pass

    def tokens(self) -> list[int]:
        drawn = self._token_ids.wait().tolist()
        return [token_id for token_id, row in zip(drawn, self._rows, strict=False) if row.sample]


class PendingSample:
    """A step whose forward pass was launched. Its draws are when the host is ready.

    logits: [D, V] float32, of the D rows in `drawing`; those draw that then still have sample. states: of all rows,
    when some want more of them than a token.

    Scores and states are computed when they are asked for, after the forward pass of the next step, for which the host
    then waits: rare enough not to be worth a path of their own.
    """

    def __init__(
        self,
        model: LoadedModel,
        device: Device,
        drawer: HostSampler,
        *,
        rows: Sequence[StepRow],
        drawing: Sequence[StepRow],
        logits: Tensor,
        states: States | None,
    ) -> None:
        self._model, self._device, self._drawer = model, device, drawer
        self._rows, self._drawing = rows, drawing
        self._logits, self._states = logits, states
        self._drawn: Download
        self._scored: list[int] = []  # places among the rows that draw
        self._raw: Tensor

    @torch.inference_mode()
    def draw(self) -> None:
        left = [place for place, row in enumerate(self._drawing) if row.sample]
        logits = self._logits if len(left) == len(self._drawing) else self._logits[self._index(left)]
        rows = self._drawing = [self._drawing[place] for place in left]
        self._scored = [place for place, row in enumerate(rows) if row.scoring is not None]
        if self._scored:
            self._raw = logits[self._index(self._scored)]  # a copy: drawing changes them
        # Even with nothing to draw it is waited for: the host must not run further ahead than a step.
        self._drawn = self._drawer.draw(logits, rows) if rows else self._device.download(logits[:0, 0])

    @torch.inference_mode()
    def tokens(self) -> list[int]:
        token_ids: list[int] = self._drawn.wait().tolist()
        if self._states is not None:
            self._model.note(self._rows, self._states)
        if self._scored:
            rows = [self._drawing[place] for place in self._scored]
            self._model.note_drawn(rows, self._raw, [token_ids[place] for place in self._scored])
        return token_ids

    def _index(self, places: Sequence[int]) -> Tensor:
        return self._device.upload(np.array(places, dtype=np.int64))
