"""Rows on their way to gateways: all that is waiting for one gateway leaves as one message."""

from collections.abc import Iterator

from shared.columns import count, pack
from shared.messages import Opening, TextDeltas

MAX_ROWS = 1024  # of one message: some 100 KiB, well within what NATS carries

_Row = tuple[str, int, int, bytes, str, int, int, int]


class Outbox:
    """Filled by the transcriber, emptied by the service. A request may have several rows, in their order."""

    def __init__(self) -> None:
        self._rows: dict[str, list[_Row]] = {}

    def add(self, opening: Opening, offset: int, token_ids: bytes, text: str, finish: int) -> None:
        """One row. token_ids: column of all that arrived; text: what became certain with them."""
        row = (
            opening.request_id,
            opening.attempt,
            offset,
            token_ids,
            text,
            finish,
            opening.num_prompt_tokens,
            opening.num_cached_tokens,
        )
        rows = self._rows.get(opening.gateway)
        if rows is None:
            self._rows[opening.gateway] = [row]
        else:
            rows.append(row)

    def take(self, detokenizer: str) -> Iterator[tuple[str, TextDeltas]]:
        """Empties it: (gateway, message) each."""
        waiting, self._rows = self._rows, {}
        for gateway, rows in waiting.items():
            for start in range(0, len(rows), MAX_ROWS):
                yield gateway, _message(detokenizer, rows[start : start + MAX_ROWS])

    def clear(self) -> None:
        self._rows.clear()


def _message(detokenizer: str, rows: list[_Row]) -> TextDeltas:
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
    )
