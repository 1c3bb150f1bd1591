"""Rows of text on their way to gateways: all that wait for one gateway leave as one message."""

from collections.abc import Iterator
from dataclasses import dataclass

from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.shared.protocol import SequenceStart, TextDeltas, TokenLogprobs
from xylem.shared.protocol.columns import count, pack

_Row = tuple[str, int, int, bytes, str, int, int, int]


@dataclass(frozen=True, slots=True)
class RowExtras:
    """Optional fields of a row: logprobs, matched stop string, per-token lengths."""

    logprobs: TokenLogprobs | None = None
    prompt_logprobs: TokenLogprobs | None = None
    matched: str | None = None
    token_chars: bytes = b""  # column: characters that came with each token, when there are several
    answer_prefix: str = ""  # with the first row


class TextDeltaBuffer:
    """Filled by the transcriber, emptied by the service. A request may have several rows, in their order."""

    def __init__(self, policy: DetokenizerPolicy) -> None:
        self._max_rows = policy.max_message_rows
        self._rows: dict[str, list[_Row]] = {}
        self._extras: dict[str, dict[int, RowExtras]] = {}  # by gateway and row

    def add_row(
        self,
        start: SequenceStart,
        offset: int,
        token_ids: bytes,
        text: str,
        finish: int,
        extras: RowExtras | None = None,
    ) -> None:
        """Adds a row for the gateway of `start`. token_ids: column of all new tokens; text: what became certain."""
        row = (
            start.request_id,
            start.attempt,
            offset,
            token_ids,
            text,
            finish,
            start.num_prompt_tokens,
            start.num_cached_tokens,
        )
        rows = self._rows.get(start.gateway)
        if rows is None:
            self._rows[start.gateway] = rows = [row]
        else:
            rows.append(row)
        if extras is not None:
            self._extras.setdefault(start.gateway, {})[len(rows) - 1] = extras

    def take_messages(self, detokenizer: str) -> Iterator[tuple[str, TextDeltas]]:
        """Empties the buffer and yields (gateway, message). detokenizer: id of the sender."""
        waiting, self._rows = self._rows, {}
        all_extras, self._extras = self._extras, {}
        for gateway, rows in waiting.items():
            extras = all_extras.get(gateway, {})
            for start, end in self._message_bounds(len(rows), extras):
                part = {row - start: extra for row, extra in extras.items() if start <= row < end} if extras else {}
                yield gateway, _message(detokenizer, rows[start:end], part)

    def clear(self) -> None:
        """Drops all rows."""
        self._rows.clear()
        self._extras.clear()

    def _message_bounds(self, num_rows: int, extras: dict[int, RowExtras]) -> Iterator[tuple[int, int]]:
        """Yields (first row, end) of each message. The log probabilities of a prompt may be large and go alone."""
        start = 0
        large = {row for row, extra in extras.items() if extra.prompt_logprobs is not None}
        for row in range(1, num_rows):
            if row - start == self._max_rows or row in large or row - 1 in large:
                yield start, row
                start = row
        yield start, num_rows


def _message(detokenizer: str, rows: list[_Row], extras: dict[int, RowExtras]) -> TextDeltas:
    request_ids, attempts, offsets, token_ids, texts, finishes, prompts, cached = zip(*rows, strict=True)
    return TextDeltas(
        detokenizer=detokenizer,
        request_ids=request_ids,
        attempts=pack(attempts),
        offsets=pack(offsets),
        counts=pack(map(count, token_ids)),
        token_ids=b"".join(token_ids),
        texts=texts,
        finishes=pack(finishes),
        num_prompt_tokens=pack(prompts),
        num_cached_tokens=pack(cached),
        scored=tuple((row, extra.logprobs) for row, extra in extras.items() if extra.logprobs is not None),
        prompt_scored=tuple((row, extra.prompt_logprobs) for row, extra in extras.items() if extra.prompt_logprobs),
        matched=tuple((row, extra.matched) for row, extra in extras.items() if extra.matched is not None),
        parts=tuple((row, extra.token_chars) for row, extra in extras.items() if extra.token_chars),
        prefixes=tuple((row, extra.answer_prefix) for row, extra in extras.items() if extra.answer_prefix),
    )
