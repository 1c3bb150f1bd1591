"""Rows on their way to gateways: all that is waiting for one gateway leaves as one message."""

from collections.abc import Iterator
from dataclasses import dataclass

from xylem.shared.protocol import SequenceStart, TextDeltas, TokenLogprobs
from xylem.shared.protocol.columns import count, pack

MAX_ROWS = 1024  # of one message: some 100 KiB, well within what NATS carries

_Row = tuple[str, int, int, bytes, str, int, int, int]


@dataclass(frozen=True, slots=True)
class RowExtras:
    """What few rows have."""

    scored: TokenLogprobs | None = None
    prompt_scored: TokenLogprobs | None = None
    matched: str | None = None
    parts: bytes = b""  # column: characters that came with each of several tokens


class Outbox:
    """Filled by the transcriber, emptied by the service. A request may have several rows, in their order."""

    def __init__(self) -> None:
        self._rows: dict[str, list[_Row]] = {}
        self._extras: dict[str, dict[int, RowExtras]] = {}  # by gateway and row

    def add(
        self,
        start: SequenceStart,
        offset: int,
        token_ids: bytes,
        text: str,
        finish: int,
        extras: RowExtras | None = None,
    ) -> None:
        """One row. token_ids: column of all that arrived; text: what became certain with them."""
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

    def take(self, detokenizer: str) -> Iterator[tuple[str, TextDeltas]]:
        """Empties it: (gateway, message) each."""
        waiting, self._rows = self._rows, {}
        all_extras, self._extras = self._extras, {}
        for gateway, rows in waiting.items():
            extras = all_extras.get(gateway, {})
            for start, end in _parts(len(rows), extras):
                part = {row - start: extra for row, extra in extras.items() if start <= row < end} if extras else {}
                yield gateway, _message(detokenizer, rows[start:end], part)

    def clear(self) -> None:
        self._rows.clear()
        self._extras.clear()


def _parts(num_rows: int, extras: dict[int, RowExtras]) -> Iterator[tuple[int, int]]:
    """From row to row, so that each part fits into a message: a scored prompt may be large, and goes by itself."""
    start = 0
    large = {row for row, extra in extras.items() if extra.prompt_scored is not None}
    for row in range(1, num_rows):
        if row - start == MAX_ROWS or row in large or row - 1 in large:
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
        scored=tuple((row, extra.scored) for row, extra in extras.items() if extra.scored is not None),
        prompt_scored=tuple((row, extra.prompt_scored) for row, extra in extras.items() if extra.prompt_scored),
        matched=tuple((row, extra.matched) for row, extra in extras.items() if extra.matched is not None),
        parts=tuple((row, extra.parts) for row, extra in extras.items() if extra.parts),
    )
