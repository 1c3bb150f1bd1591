"""The text of one running request."""

from array import array

from services.detokenizer.decoders import DecoderFactory
from services.detokenizer.stop_matcher import StopMatcher
from shared.columns import unpack
from shared.messages import Finish, Opening
from shared.telemetry import Span


class Sequence:
    """Incremental text and stop state: pure functions of the ids pushed so far, however they were split.

    The ids that its opening replays count as given out. next_offset: index of the next output token to come.
    """

    __slots__ = ("_decode", "_flush", "_matcher", "next_offset", "num_chars", "opening", "place", "seen_s", "span")

    def __init__(self, opening: Opening, factory: DecoderFactory, span: Span) -> None:
        decoder = factory(unpack(opening.context_ids))
        self.opening = opening
        self._decode = decoder.push
        self._flush = decoder.flush
        self._matcher = StopMatcher(opening.stop) if opening.stop else None
        self.next_offset = 0
        self.num_chars = 0
        self.span = span
        self.place: tuple[dict[int, Sequence], int] = ({}, 0)  # where the transcriber keeps it, and its id there
        self.seen_s = 0.0
        self.push(unpack(opening.output_ids), Finish.NONE)

    @property
    def is_stopped(self) -> bool:
        """A stop string was found; nothing more comes out."""
        return self._matcher is not None and self._matcher.found

    def push(self, token_ids: "array[int]", finish: int) -> str:
        """Takes the next output tokens; returns the text that is certain now, all of it when this is the end.

        The token that ended the sequence (finish STOP: end-of-sequence or a stop token id) has no text.
        """
        self.next_offset += len(token_ids)
        if finish == Finish.STOP:
            token_ids = token_ids[:-1]
        decode = self._decode
        text = decode(token_ids[0]) if len(token_ids) == 1 else "".join([decode(token_id) for token_id in token_ids])
        if finish:
            text += self._flush()
        matcher = self._matcher
        if matcher is not None:
            text = matcher.push(text)
            if finish:
                text += matcher.flush()
        self.num_chars += len(text)
        return text
