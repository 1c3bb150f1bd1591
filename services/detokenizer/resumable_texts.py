"""What resumable requests have said so far, kept for a client that comes back through another gateway.

Bounded: a tail forgets its oldest text beyond MAX_CHARS, and what does not run here any more goes after
KEPT_S seconds, or beyond MAX_RESTING of them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from xylem.shared.protocol import FinishReason, SequenceStart
from xylem.shared.protocol.columns import ITEM_BYTES, pack

MAX_CHARS = 1 << 16
MAX_RESTING = 1024
KEPT_S = 60.0


@dataclass(slots=True)
class ResumableText:
    """One request. Its text begins at character `first_char`; its token ids are complete.

    parts: a column of the characters that came with each token, right as far as its text is there from the beginning.
    """

    start: SequenceStart
    first_char: int
    token_ids: bytearray
    parts: bytearray
    text: str = ""
    finish: FinishReason = FinishReason.NONE
    rests_s: float = 0.0

    def add(self, token_ids: bytes, text: str, parts: bytes) -> None:
        self.token_ids += token_ids
        self.parts += parts or pack([len(text)])
        self.text += text
        if len(self.text) > 2 * MAX_CHARS:  # cut now and then, not at every token
            self.first_char += len(self.text) - MAX_CHARS
            self.text = self.text[-MAX_CHARS:]

    def since(self, num_chars: int) -> str | None:
        """The text after the first num_chars characters; None when some of it is forgotten or was never said."""
        at = num_chars - self.first_char
        return self.text[at:] if 0 <= at <= len(self.text) else None


class ResumableTexts:
    """By request: those that run here, and those that do not any more, in the order of their ends."""

    def __init__(self) -> None:
        self._running: dict[str, ResumableText] = {}
        self._resting: OrderedDict[str, ResumableText] = OrderedDict()

    def open(self, start: SequenceStart, num_chars: int) -> None:
        """A sequence begins, whose replayed output has num_chars characters. It may have been here before."""
        request_id = start.request_id
        known = self._running.pop(request_id, None) or self._resting.pop(request_id, None)
        tail = ResumableText(start, num_chars, bytearray(start.output_ids), bytearray(len(start.output_ids)))
        self._running[request_id] = tail
        if known is not None and bytes(known.token_ids).startswith(start.output_ids):
            # The gateway may have got less than we have said; the rest will be said again.
            text = known.text[: max(0, num_chars - known.first_char)]
            if known.first_char + len(text) == num_chars:
                tail.first_char, tail.text = known.first_char, text
                tail.parts = known.parts[: len(start.output_ids)]

    def add(
        self, start: SequenceStart, offset: int, token_ids: bytes, text: str, finish: int, parts: bytes = b""
    ) -> None:
        """A row of the outbox, which follows what is there. parts: of more tokens than one."""
        tail = self._running[start.request_id]
        assert len(tail.token_ids) == offset * ITEM_BYTES
        tail.add(token_ids, text, parts)
        tail.finish = FinishReason(finish)

    def rest(self, request_id: str, now_s: float) -> None:
        """It has ended, or goes on elsewhere."""
        tail = self._running.pop(request_id, None)
        if tail is not None:
            tail.rests_s = now_s
            self._resting[request_id] = tail
            self._sweep(now_s)

    def clear(self) -> None:
        self._running.clear()
        self._resting.clear()

    def find(self, request_id: str, now_s: float) -> ResumableText | None:
        self._sweep(now_s)
        return self._running.get(request_id) or self._resting.get(request_id)

    def _sweep(self, now_s: float) -> None:
        while self._resting:
            request_id, oldest = next(iter(self._resting.items()))
            if len(self._resting) <= MAX_RESTING and now_s - oldest.rests_s < KEPT_S:
                return
            del self._resting[request_id]
