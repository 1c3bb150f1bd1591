"""Incremental text of one running request."""

from array import array

from xylem.services.detokenizer.decoders import DecoderFactory
from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.services.detokenizer.stop_matcher import StopMatcher
from xylem.shared.protocol import FinishReason, SequenceStart
from xylem.shared.protocol.columns import unpack
from xylem.shared.runtime.telemetry import Span


class TextSequence:
    """Text and stop state of a sequence: pure functions of its token ids, however they were split.

    The ids that its start replays count as returned. next_offset: index of the next output token to come; num_chars:
    number of characters returned; num_decoded: those of all tokens, text held back or cut included.
    """

    __slots__ = (
        "_decode",
        "_flush",
        "_matcher",
        "_num_unstoppable",
        "answer_prefix",
        "last_seen_s",
        "next_offset",
        "num_chars",
        "num_decoded",
        "registered_as",
        "span",
        "start",
    )

    def __init__(
        self, start: SequenceStart, factory: DecoderFactory, span: Span, policy: DetokenizerPolicy | None = None
    ) -> None:
        """Takes in the ids that `start` replays. Raises TooSlow."""
        decoder = factory(unpack(start.context_ids))
        self.start = start
        self.answer_prefix = start.params.answer_prefix  # until it has been told
        self._decode = decoder.decode_token
        self._flush = decoder.flush_text
        stops = start.params.stop_conditions
        self._matcher = (
            StopMatcher(stops.stop, stops.stop_regex, keep=stops.keep_stop, policy=policy)
            if stops.stop or stops.stop_regex
            else None
        )
        self._num_unstoppable = (
            stops.min_tokens if self._matcher is not None else 0
        )  # tokens in which stops are ignored
        self.next_offset = 0
        self.num_chars = 0
        self.num_decoded = 0
        self.span = span
        self.registered_as: tuple[dict[int, TextSequence], int] = ({}, 0)  # the transcriber's sequences, its id there
        self.last_seen_s = 0.0
        self.push_tokens(unpack(start.output_ids), FinishReason.NONE)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop was matched: no more text follows."""
        return self._matcher is not None and self._matcher.found is not None

    @property
    def matched(self) -> str | None:
        """The stop that was matched, or None."""
        return None if self._matcher is None else self._matcher.found

    def push_tokens(self, token_ids: "array[int]", finish: int) -> str:
        """Takes the next output tokens and returns the text that is certain now, all of it at the end. Raises TooSlow.

        finish: FinishReason of the last token. A token that ended the sequence (STOP: end-of-sequence or a stop token
        id) has no text.
        """
        num_unstoppable = self._num_unstoppable - self.next_offset
        if 0 < num_unstoppable < len(token_ids):
            unstoppable, rest = token_ids[:num_unstoppable], token_ids[num_unstoppable:]
            return self.push_tokens(unstoppable, FinishReason.NONE) + self.push_tokens(rest, finish)
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
            text = matcher.pass_text(text) if num_unstoppable > 0 else matcher.feed_text(text)
            if finish:
                text += matcher.flush_held()
        self.num_chars += len(text)
        return text

    def push_tokens_singly(self, token_ids: "array[int]", finish: int) -> tuple[list[str], list[int]]:
        """Like `push_tokens`. Returns the text that came with each token, and the characters decoded by its end."""
        texts, ends = [], []
        last = len(token_ids) - 1
        for index in range(len(token_ids)):
            texts.append(self.push_tokens(token_ids[index : index + 1], finish if index == last else FinishReason.NONE))
            ends.append(self.num_decoded)
        return texts, ends
