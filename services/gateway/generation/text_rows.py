"""Text deltas, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass

from xylem.shared.protocol import FinishReason, TextDeltas, TokenLogprobs
from xylem.shared.protocol.columns import ITEM_BYTES, unpack


@dataclass(frozen=True, slots=True)
class TextRow:
    """Holds what one request has got. offset: index of its first token among the request's output tokens."""

    attempt: int
    offset: int
    token_ids: bytes  # column
    text: str
    finish: FinishReason
    num_prompt_tokens: int = 0
    num_cached_tokens: int = 0
    scored: TokenLogprobs | None = None
    prompt_scored: TokenLogprobs | None = None
    matched: str | None = None
    parts: bytes = b""  # column: characters that came with each of its tokens, if those are several
    answer_prefix: str = ""  # with its first row


def rows_of(deltas: TextDeltas) -> Iterator[tuple[str, TextRow]]:
    """(request id, row) each, in order."""
    scored, prompt_scored = dict(deltas.scored), dict(deltas.prompt_scored)
    matched, parts, prefixes = dict(deltas.matched), dict(deltas.parts), dict(deltas.prefixes)
    start = 0
    for i, (request_id, attempt, offset, count, text, finish, num_prompt, num_cached) in enumerate(
        zip(
            deltas.request_ids,
            unpack(deltas.attempts),
            unpack(deltas.offsets),
            unpack(deltas.counts),
            deltas.texts,
            unpack(deltas.finishes),
            unpack(deltas.num_prompt_tokens),
            unpack(deltas.num_cached_tokens),
            strict=False,
        )
    ):
        end = start + count * ITEM_BYTES
        yield (
            request_id,
            TextRow(
                attempt,
                offset,
                deltas.token_ids[start:end],
                text,
                FinishReason(finish),
                num_prompt,
                num_cached,
                scored.get(i),
                prompt_scored.get(i),
                matched.get(i),
                parts.get(i, b""),
                prefixes.get(i, ""),
            ),
        )
        start = end
