"""Log probabilities as /generate shows them: (logprob, token id, text) of each token, and lists of these."""

from typing import Any

from xylem.services.gateway.apis.openai_chat.logprobs import text_of
from xylem.services.gateway.apis.sglang_generate.request import Wanted
from xylem.services.gateway.generation.logprobs import LogprobToken

Triple = tuple[float | None, int, str | None]


def logprobs_of(side: str, tokens: list[LogprobToken], wanted: Wanted) -> dict[str, Any]:
    """Fields of meta_info for the `input` or the `output` side. What is not known of a prompt's first token is null."""
    shown: dict[str, Any] = {f"{side}_token_logprobs": [_own(token, wanted) for token in tokens]}
    if wanted.num_top:
        shown[f"{side}_top_logprobs"] = [_top(token, wanted) for token in tokens]
    if wanted.asked_ids:
        shown[f"{side}_token_ids_logprobs"] = [_asked(token, wanted) for token in tokens]
    return shown


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
