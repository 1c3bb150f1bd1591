"""The text of one running request."""

from array import array

from xylem.services.detokenizer.decoders import DecoderFactory
from xylem.services.detokenizer.stop_matcher import StopMatcher
from xylem.shared.protocol import FinishReason, SequenceStart
from xylem.shared.protocol.columns import unpack
from xylem.shared.runtime.telemetry import Span


class TextSequence:
    """Incremental text and stop state: pure functions of the ids pushed so far, however they were split.

    The ids that its start replays count as given out. next_offset: index of the next output token to come.
    num_chars: characters given out; num_decoded: those of all tokens, what is held back or cut included.
    Raises TooSlow where it takes tokens.
    """

    __slots__ = (
        "_decode",
        "_flush",
        "_free_tokens",
        "_matcher",
        "next_offset",
        "num_chars",
        "num_decoded",
        "place",
        "seen_s",
        "span",
        "start",
    )

    def __init__(self, start: SequenceStart, factory: DecoderFactory, span: Span) -> None:
        decoder = factory(unpack(start.context_ids))
        self.start = start
        self._decode = decoder.decode_token
        self._flush = decoder.flush_text
        stops = start.params.stop_conditions
        self._matcher = (
            StopMatcher(stops.stop, stops.stop_regex, keep=stops.keep_stop) if stops.stop or stops.stop_regex else None
        )
        self._free_tokens = stops.min_tokens if self._matcher is not None else 0  # in which nothing stops it
        self.next_offset = 0
        self.num_chars = 0
        self.num_decoded = 0
        self.span = span
        self.place: tuple[dict[int, TextSequence], int] = ({}, 0)  # where the transcriber keeps it, and its id there
        self.seen_s = 0.0
        self.push(unpack(start.output_ids), FinishReason.NONE)

    @property
    def is_stopped(self) -> bool:
        """A stop was found; nothing more comes out."""
        return self._matcher is not None and self._matcher.found is not None

    @property
    def matched(self) -> str | None:
        """The stop that was found."""
        return None if self._matcher is None else self._matcher.found

    def push(self, token_ids: "array[int]", finish: int) -> str:
        """Takes the next output tokens; returns the text that is certain now, all of it when this is the end.

        The token that ended the sequence (finish STOP: end-of-sequence or a stop token id) has no text.
        """
        free = self._free_tokens - self.next_offset
        if 0 < free < len(token_ids):
            return self.push(token_ids[:free], FinishReason.NONE) + self.push(token_ids[free:], finish)
        self.next_offset += len(token_ids)
        if finish == FinishReason.STOP:
            token_ids = token_ids[:-1]
        decode = self._decode
        text = decode(token_ids[0]) if len(token_ids) == 1 else "".join([decode(token_id) for token_id in token_ids])
        if finish:
            text += self._flush()
        self.num_decoded += len(text)
        matcher = self._matcher
        if matcher is not None:
            text = matcher.pass_text(text) if free > 0 else matcher.feed_text(text)
            if finish:
                text += matcher.flush_held()
        self.num_chars += len(text)
        return text

    def push_each(self, token_ids: "array[int]", finish: int) -> tuple[list[str], list[int]]:
        """Like push, with the text that came with each token, and the characters decoded by its end."""
        texts, ends = [], []
        last = len(token_ids) - 1
        for index in range(len(token_ids)):
            texts.append(self.push(token_ids[index : index + 1], finish if index == last else FinishReason.NONE))
            ends.append(self.num_decoded)
        return texts, ends
