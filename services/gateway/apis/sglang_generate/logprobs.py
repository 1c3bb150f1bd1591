"""Log probabilities as /generate shows them: (logprob, token id, text) of each token, and lists of these."""

from dataclasses import dataclass

import msgspec

from xylem.services.gateway.apis.openai_chat.logprobs import text_of
from xylem.services.gateway.apis.sglang_generate.request import Wanted
from xylem.services.gateway.generation.logprobs import LogprobToken

Triple = tuple[float | None, int, str | None]


@dataclass(frozen=True, slots=True)
class ShownLogprobs:
    """Log probabilities of the prompt's tokens or of the output's; UNSET: they were not asked for."""

    own: list[Triple] | msgspec.UnsetType = msgspec.UNSET
    top: list[list[Triple] | None] | msgspec.UnsetType = msgspec.UNSET
    asked: list[list[Triple] | None] | msgspec.UnsetType = msgspec.UNSET


def logprobs_of(tokens: list[LogprobToken], wanted: Wanted) -> ShownLogprobs:
    """Returns what is shown of these tokens. What is not known of a prompt's first token is null."""
    if not wanted.logprobs:
        return ShownLogprobs()
    return ShownLogprobs(
        own=[_own(token, wanted) for token in tokens],
        top=[_top(token, wanted) for token in tokens] if wanted.num_top else msgspec.UNSET,
        asked=[_asked(token, wanted) for token in tokens] if wanted.asked_ids else msgspec.UNSET,
    )


def _own(token: LogprobToken, wanted: Wanted) -> Triple:
    return token.logprob, token.token_id, text_of(token.text) if wanted.texts else None


def _top(token: LogprobToken, wanted: Wanted) -> list[Triple] | None:
    if token.logprob is None:
        return None
    return [(other.logprob, other.token_id, text_of(other.text) if wanted.texts else None) for other in token.top]


def _asked(token: LogprobToken, wanted: Wanted) -> list[Triple] | None:
    if token.logprob is None:
        return None
    texts = [text_of(text) for text in token.asked_texts] if wanted.texts else [None] * len(token.asked)
    return list(zip(token.asked, wanted.asked_ids, texts, strict=True))
