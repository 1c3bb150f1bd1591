"""Texts of resumable requests so far, kept for a client that reconnects through another gateway.

Bounded by `DetokenizerPolicy`: the oldest text of a request is dropped beyond a number of characters, and the text of a
request that does not run here any more is dropped after some time, or when there are too many of them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.shared.protocol import FinishReason, SequenceStart
from xylem.shared.protocol.columns import ITEM_BYTES, pack


@dataclass(slots=True)
class ResumableText:
    """Text of one request from character `first_char` on, and all its token ids.

    token_chars: column of the characters that came with each token, valid if the text is there from the beginning.
    """

    start: SequenceStart
    first_char: int
    token_ids: bytearray
    token_chars: bytearray
    text: str = ""
    finish: FinishReason = FinishReason.NONE
    ended_s: float = 0.0

    def append_text(self, token_ids: bytes, text: str, token_chars: bytes, max_chars: int) -> None:
        """Appends tokens and their text; drops the oldest text beyond `max_chars` characters."""
        self.token_ids += token_ids
        self.token_chars += token_chars or pack([len(text)])
        self.text += text
        if len(self.text) > 2 * max_chars:  # cut now and then, not at every token
            self.first_char += len(self.text) - max_chars
            self.text = self.text[-max_chars:]

    def text_after(self, num_chars: int) -> str | None:
        """Returns the text after the first `num_chars` characters; None when it is dropped or not written yet."""
        at = num_chars - self.first_char
        return self.text[at:] if 0 <= at <= len(self.text) else None


class ResumableTexts:
    """Resumable texts by request id: of requests that run here, and of ended ones in the order of their ends."""

    def __init__(self, policy: DetokenizerPolicy) -> None:
        self._policy = policy
        self._running: dict[str, ResumableText] = {}
        self._ended: OrderedDict[str, ResumableText] = OrderedDict()

    def open_text(self, start: SequenceStart, num_chars: int) -> None:
        """Begins the text of a sequence whose replayed output has `num_chars` characters.

        The text of an earlier attempt is kept as far as it belongs to the replayed output.
        """
        request_id = start.request_id
        known = self._running.pop(request_id, None) or self._ended.pop(request_id, None)
        resumable = ResumableText(start, num_chars, bytearray(start.output_ids), bytearray(len(start.output_ids)))
        self._running[request_id] = resumable
        if known is not None and bytes(known.token_ids).startswith(start.output_ids):
            # The gateway may have got less than was sent; the rest will be sent again.
            text = known.text[: max(0, num_chars - known.first_char)]
            if known.first_char + len(text) == num_chars:
                resumable.first_char, resumable.text = known.first_char, text
                resumable.token_chars = known.token_chars[: len(start.output_ids)]

    def append_row(
        self, start: SequenceStart, offset: int, token_ids: bytes, text: str, finish: int, token_chars: bytes = b""
    ) -> None:
        """Appends a row of text deltas, which follows what is there. token_chars: column, for several tokens."""
        resumable = self._running[start.request_id]
        assert len(resumable.token_ids) == offset * ITEM_BYTES
        resumable.append_text(token_ids, text, token_chars, self._policy.max_resumable_chars)
        resumable.finish = FinishReason(finish)

    def end_text(self, request_id: str, now_s: float) -> None:
        """Keeps the text of a request that has ended, or goes on elsewhere, for a while."""
        resumable = self._running.pop(request_id, None)
        if resumable is not None:
            resumable.ended_s = now_s
            self._ended[request_id] = resumable
            self._drop_old(now_s)

    def clear(self) -> None:
        """Drops all texts."""
        self._running.clear()
        self._ended.clear()

    def find_text(self, request_id: str, now_s: float) -> ResumableText | None:
        """Returns the text of a request, or None when it is unknown or dropped."""
        self._drop_old(now_s)
        return self._running.get(request_id) or self._ended.get(request_id)

    def _drop_old(self, now_s: float) -> None:
        policy = self._policy
        while self._ended:
            request_id, oldest = next(iter(self._ended.items()))
            if len(self._ended) <= policy.max_ended_texts and now_s - oldest.ended_s < policy.ended_text_s:
                return
            del self._ended[request_id]
