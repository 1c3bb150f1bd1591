"""Log probabilities on their way into messages."""

import math
from collections.abc import Iterable, Sequence

from xylem.kernels.interface import Scored
from xylem.shared.protocol import Scores, Scoring
from xylem.shared.protocol.columns import pack, pack_floats

__all__ = ["Scored", "scores_message", "unscored"]


def unscored(scoring: Scoring, num_asked: int) -> Scored:
    """Of a prompt's first token, which nothing predicts: as many values as others have, none of them a number."""
    nothing = math.nan
    return Scored(nothing, [0] * scoring.num_top, [nothing] * scoring.num_top, [nothing] * num_asked)


def scores_message(scored: Iterable[Scored], token_ids: Sequence[int] = ()) -> Scores:
    """Of tokens one after the other; token_ids where the message does not have them elsewhere."""
    scored = list(scored)
    return Scores(
        logprobs=pack_floats([each.logprob for each in scored]),
        top_ids=pack([top_id for each in scored for top_id in each.top_ids]),
        top_logprobs=pack_floats([logprob for each in scored for logprob in each.top_logprobs]),
        asked_logprobs=pack_floats([logprob for each in scored for logprob in each.asked_logprobs]),
        token_ids=pack(token_ids),
    )
