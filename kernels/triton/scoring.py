"""Log probabilities of a batch at once, by torch: one wait of the host for all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xylem.kernels.token_logprobs import RowLogprobs, bounded

SIGN = 0x7FFFFFFF
WORD = 1 << 32


@bounded
def score(
    logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
) -> list[RowLogprobs]:
    """Shapes: see interface.py. In float64, because a float32 sum over a vocabulary of 150,000 is off by 1e-5."""
    if len(tokens) == 0:
        return []
    told = [[token, *ids] for token, ids in zip(tokens, asked, strict=True)]
    longest = max(len(ids) for ids in told)
    padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in told], dtype=torch.int64).to(logits.device)
    top = _ranks(logits).topk(min(max(num_top), logits.shape[1])).indices
    wanted = torch.cat([padded, top], dim=1)
    log_probs = logits.gather(1, wanted).double() - logits.double().logsumexp(-1, keepdim=True)
    columns = torch.cat([log_probs, wanted.double()], dim=1).tolist()  # ids are exact in float64
    return [
        RowLogprobs(
            logprob=row[0],
            top_ids=[int(token) for token in row[len(row) // 2 + longest :][:count]],
            top_logprobs=row[longest : len(row) // 2][:count],
            asked_logprobs=row[1 : len(ids)],
        )
        for row, ids, count in zip(columns, told, num_top, strict=True)
    ]


def _ranks(logits: Tensor) -> Tensor:
    """[B, V] int64, all different: ordered as the logits are, and equals by the lower id, where topk takes either."""
    bits = (logits + 0.0).view(torch.int32).long()  # minus zero becomes zero, which it equals
    ordered = torch.where(bits < 0, bits ^ SIGN, bits)
    return ordered * WORD - torch.arange(logits.shape[1], device=logits.device)
