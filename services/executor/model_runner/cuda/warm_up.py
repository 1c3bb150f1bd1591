"""Warm-up of a GPU: kernels compile at their first use, which takes seconds, and so must come before any request."""

from array import array
from collections.abc import Iterator

import numpy as np
import torch

from xylem.kernels.interface import LogitsAdjustment
from xylem.services.executor.kv_cache.pool import KvPool
from xylem.services.executor.model_runner.loaded_model import LoadedModel
from xylem.services.executor.models.decoder import token_tensor
from xylem.services.executor.step.row import StepRow
from xylem.shared.protocol import SamplingParams


def warm_up(model: LoadedModel, pool: KvPool, *, page: int, token_budget: int, context_length: int) -> None:
    """Runs the steps outside graphs, logits processing, and a copy of a page. page: a spare one to write to."""
    for rows in warm_up_steps(page, pool.page_size, token_budget, context_length):
        token_ids = token_tensor([token for row in rows for token in row.token_ids], model.device)
        logits = model.compute_logits(rows, model.forward(rows, token_ids, pool))
    adjustment = LogitsAdjustment(seen_ids=np.zeros(1, dtype=np.int64), forbidden_ids=np.zeros(1, dtype=np.int64))
    mask = torch.full((len(logits), -(-logits.shape[1] // 32)), -1, dtype=torch.int32, device=model.device)
    for each in (None, mask):
        model.ops.adjust(logits, [adjustment] * len(logits), each)
    pool.copy_page(page, page, pool.page_size)


def warm_up_steps(page: int, page_size: int, token_budget: int, context_length: int) -> Iterator[list[StepRow]]:
    """Yields steps of each power of two in context length and in tokens: these two choose the kernels."""
    length = page_size
    while length <= context_length:
        yield [_row(1, length, page, page_size)]
        length *= 2
    decoding = _row(1, min(page_size, context_length), page, page_size)
    most, num_tokens = min(token_budget - 1, context_length), 2
    while num_tokens < most:
        yield [decoding, _row(num_tokens, num_tokens, page, page_size)]
        num_tokens *= 2
    yield [decoding, _row(most, most, page, page_size)]


def _row(num_new: int, length: int, page: int, page_size: int) -> StepRow:
    pages = array("i", [page] * -(-length // page_size))
    return StepRow([1] * num_new, length - num_new, pages, True, SamplingParams())
