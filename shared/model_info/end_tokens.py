"""The tokens that end an answer: what any file of a model folder says of them."""

import logging
from typing import Any

from xylem.shared.model_info.chat_templates import template_sources
from xylem.shared.model_info.model_card import ModelCard, ModelError
from xylem.shared.model_info.template_language import environment
from xylem.shared.model_info.tokenizer_codec import TextCodec

log = logging.getLogger(__name__)

_SAID = "answer0answer"
_TURNS: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": _SAID}]


def end_token_ids(card: ModelCard) -> tuple[int, ...]:
    """Returns the ids of config.json and generation_config.json, of the tokenizer's eos and of the template's turn end.

    Makers forget one or the other: a model whose chats end with a token that only its tokenizer names would go on after
    it, with tokens that nobody sees. A folder without a usable tokenizer has the first two.
    """
    try:
        codec = TextCodec.load(card.path)
        sources = template_sources(codec.folder, codec.config)
    except ModelError:
        return card.eos_token_ids
    texts = {codec.special_tokens.get("eos_token", ""), _turn_end(sources.get("default", ""), codec)}
    found = [codec.tokenizer.token_to_id(text) for text in sorted(texts) if text]
    more = {token_id for token_id in found if token_id is not None and token_id < card.vocab_size}
    if new := sorted(more - set(card.eos_token_ids)):
        log.info("answers end with tokens %s, too, which the tokenizer or its chat template tells", new)
    return (*card.eos_token_ids, *new)


def _turn_end(source: str, codec: TextCodec) -> str:
    """The token that a template writes behind an answer, or where it writes none, in front of the next question."""
    for turns in (_TURNS, [*_TURNS, _TURNS[0]]):
        after = _rendered(source, turns, codec.special_tokens).rpartition(_SAID)[2].lstrip()
        if after:
            known = {token.content for token in codec.tokenizer.get_added_tokens_decoder().values()}
            known -= {codec.special_tokens.get("bos_token", "")}
            return max((text for text in known if text and after.startswith(text)), key=len, default="")
    return ""


def _rendered(source: str, turns: list[dict[str, Any]], special_tokens: dict[str, str]) -> str:
    variables = {**special_tokens, "messages": turns, "tools": None, "documents": None, "add_generation_prompt": False}
    try:
        return environment().from_string(source).render(**variables)
    except Exception:  # a template may do anything; the tokenizer says what is wrong with one
        return ""
