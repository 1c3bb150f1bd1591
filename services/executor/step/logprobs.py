"""Log probabilities on their way into messages."""

import math
from collections.abc import Iterable, Sequence

from xylem.kernels.interface import RowLogprobs
from xylem.shared.protocol import LogprobParams, Logprobs
from xylem.shared.protocol.columns import pack, pack_floats

__all__ = ["RowLogprobs", "logprobs_message", "unknown_logprobs"]


def unknown_logprobs(params: LogprobParams, num_asked: int) -> RowLogprobs:
    """Returns those of a prompt's first token, which nothing predicts: as many as others have, all NaN."""
    nothing = math.nan
    return RowLogprobs(nothing, [0] * params.num_top, [nothing] * params.num_top, [nothing] * num_asked)


def logprobs_message(scored: Iterable[RowLogprobs], token_ids: Sequence[int] = ()) -> Logprobs:
    """Returns the message of consecutive tokens; token_ids where the message does not have them elsewhere."""
    scored = list(scored)
    return Logprobs(
        logprobs=pack_floats([each.logprob for each in scored]),
        top_ids=pack([top_id for each in scored for top_id in each.top_ids]),
        top_logprobs=pack_floats([logprob for each in scored for logprob in each.top_logprobs]),
        asked_logprobs=pack_floats([logprob for each in scored for logprob in each.asked_logprobs]),
        token_ids=pack(token_ids),
    )
