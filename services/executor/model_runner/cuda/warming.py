"""What a GPU meets for the first time takes seconds, for its kernels are compiled: so it is met before any request."""

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
    """Steps that graphs do not hold, what bends logits, and the copy of a page. page: nobody's, which is written to."""
    for rows in steps_to_warm_up(page, pool.page_size, token_budget, context_length):
        token_ids = token_tensor([token for row in rows for token in row.token_ids], model.device)
        logits = model.logits(rows, model.read(rows, token_ids, pool))
    bent = LogitsAdjustment(seen_ids=np.zeros(1, dtype=np.int64), forbidden_ids=np.zeros(1, dtype=np.int64))
    mask = torch.full((len(logits), -(-logits.shape[1] // 32)), -1, dtype=torch.int32, device=model.device)
    for each in (None, mask):
        model.ops.adjust(logits, [bent] * len(logits), each)
    pool.copy_page(page, page, pool.page_size)


def steps_to_warm_up(page: int, page_size: int, token_budget: int, context_length: int) -> Iterator[list[StepRow]]:
    """What chooses kernels is the length of a context, and the number of tokens: each power of two of both is met."""
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
