"""The runner: rows of a step in, drawn tokens out. What the engine sees of the model."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kernels import ops
from services.executor import weights
from services.executor.kv_pool import KvPool, pages_that_fit
from services.executor.models.decoder import Decoder, token_tensor
from services.executor.models.families import decoder_config
from services.executor.weights import Progress
from shared.messages import Sampling
from shared.model_card import ModelCard, ModelError


@dataclass(slots=True)
class Row:
    """One sequence in one step: tokens to read at positions [start, start + len(token_ids)).

    pages is its page table from position 0; sample: a token is drawn after the last one.
    """

    token_ids: Sequence[int]
    start: int
    pages: "array[int]"
    sample: bool
    sampling: Sampling


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
        progress: Progress | None = None,
    ) -> None:
        """Loads the weights. Raises ModelError."""
        self._device = torch.device(device)
        config = decoder_config(card)
        try:
            self._ops = ops.load(kernels, self._device)
        except ops.NoSuchBackend as error:
            raise ModelError(str(error)) from None
        self.page_size = page_size
        self.num_pages = num_pages or pages_that_fit(kv_bytes, config, page_size=page_size, dtype=dtype)
        self.vocab_size = config.vocab_size
        parameters = weights.load(card.path, config, dtype=dtype, device=self._device, progress=progress)
        self._decoder = Decoder(config, parameters, self._ops)
        self._pool = KvPool(
            config, self._ops, num_pages=self.num_pages, page_size=page_size, dtype=dtype, device=self._device
        )

    @torch.inference_mode()
    def copy_page(self, source: int, target: int, num_tokens: int) -> None:
        """Copies the KV of the first num_tokens of a page to another one."""
        self._pool.copy_page(source, target, num_tokens)

    @torch.inference_mode()
    def step(self, rows: Sequence[Row]) -> list[int]:
        """Reads the tokens of all rows; one drawn token per row with sample=True, in order."""
        drawing = [row for row in rows if row.sample]
        positions = [row.start + len(row.token_ids) for row in drawing]
        logits = self.logits(rows)
        return self._ops.sample(logits, [row.sampling for row in drawing], positions) if drawing else []

    @torch.inference_mode()
    def logits(self, rows: Sequence[Row]) -> torch.Tensor:
        """float32 logits [rows with sample=True, V]."""
        layout = ops.Layout.build(
            [(row.start, len(row.token_ids), row.pages) for row in rows], page_size=self.page_size, device=self._device
        )
        token_ids = token_tensor([token for row in rows for token in row.token_ids], self._device)
        last = [span.first + span.num_new - 1 for span, row in zip(layout.spans, rows, strict=True) if row.sample]
        return self._decoder.forward(token_ids, layout, self._pool, token_tensor(last, self._device))

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
