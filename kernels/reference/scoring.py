"""Log probabilities of tokens. A row's result depends on that row only."""

from collections.abc import Sequence

from torch import Tensor

from xylem.kernels.token_logprobs import RowLogprobs, bounded


@bounded
def score(
    logits: Tensor, tokens: Sequence[int], num_top: Sequence[int], asked: Sequence[Sequence[int]]
) -> list[RowLogprobs]:
    """Rows of logits [B, V] float32; see interface.py."""
    return [_score(*row) for row in zip(logits, tokens, num_top, asked, strict=True)]


def _score(logits: Tensor, token: int, num_top: int, asked: Sequence[int]) -> RowLogprobs:
    log_probs = logits.double().log_softmax(-1)  # in float32, torch's is off by 1e-5 at a vocabulary of 150,000
    # By logits, of which more differ than of their rounded log probabilities: the first is what greedy drawing takes.
    top_ids: list[int] = logits.sort(descending=True, stable=True).indices[:num_top].tolist()
    return RowLogprobs(
        logprob=float(log_probs[token]),
        top_ids=top_ids,
        top_logprobs=log_probs[top_ids].tolist(),
        asked_logprobs=log_probs[list(asked)].tolist(),
    )
