"""The detokenizer's core: turns token deltas of all sequences into text deltas, without bus or clock."""

import logging
from array import array
from dataclasses import replace
from itertools import accumulate

import msgspec

from xylem.services.detokenizer.decoders import DecoderFactory
from xylem.services.detokenizer.logprobs import Spell, skip_first, token_logprobs
from xylem.services.detokenizer.policy import DetokenizerPolicy
from xylem.services.detokenizer.resumable_texts import ResumableTexts
from xylem.services.detokenizer.stop_matcher import TooSlow
from xylem.services.detokenizer.text_delta_buffer import RowExtras, TextDeltaBuffer
from xylem.services.detokenizer.text_sequence import TextSequence
from xylem.shared.protocol import (
    Abort,
    FinishReason,
    Logprobs,
    Presence,
    Refused,
    Resumed,
    SequenceStart,
    TokenDeltas,
    TokenLogprobs,
)
from xylem.shared.protocol.columns import ITEM_BYTES, pack, unpack
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.errors import InvalidRequest, refusal
from xylem.shared.runtime.recent_aborts import RecentAborts

log = logging.getLogger(__name__)

NO_EPOCH = -1


class Transcriber:
    """Open sequences, by executor epoch and sequence id, and by request.

    `text_deltas` fills with rows for gateways, `aborts` with (scheduler, message) for sequences that met a stop string,
    `refusals` with (gateway, message) for those whose stop pattern is hostile.
    """

    def __init__(
        self,
        factory: DecoderFactory,
        verbose_factory: DecoderFactory,
        spell: Spell,
        policy: DetokenizerPolicy | None = None,
    ) -> None:
        """factory, verbose_factory: make decoders without and with special tokens; spell: gives a token's bytes."""
        self._policy = policy = policy or DetokenizerPolicy()
        self.text_deltas = TextDeltaBuffer(policy)
        self.resumable_texts = ResumableTexts(policy)
        self.aborts: list[tuple[str, Abort]] = []
        self.refusals: list[tuple[str, Refused]] = []
        self._factory = factory
        self._verbose_factory = verbose_factory
        self._spell = spell
        # By executor: its epoch, its plan epoch, its sequences by id.
        self._executors: dict[str, tuple[int, int, dict[int, TextSequence]]] = {}
        self._requests: dict[str, TextSequence] = {}
        self._aborts = RecentAborts()
        self._num_started = 0

    @property
    def num_open(self) -> int:
        """Number of sequences that have not ended."""
        return len(self._requests)

    def transcribe(self, deltas: TokenDeltas, now_s: float) -> None:
        """Processes one message of an executor. now_s: any monotonic time in seconds."""
        sequences = self._sequences_of(deltas.executor, deltas.epoch, deltas.plan_epoch)
        if sequences is None:
            return
        for sequence_id, start in deltas.starts:
            self._start(sequences, sequence_id, start, now_s)
        column = deltas.token_ids
        token_ids = unpack(column)
        logprobs, prompt_logprobs = dict(deltas.scores), dict(deltas.prompt_scores)
        end = 0
        for row, (sequence_id, offset, num_tokens, finish) in enumerate(deltas.rows()):
            first, end = end, end + num_tokens
            sequence = sequences.get(sequence_id)
            if sequence is None:  # cut at a stop string, aborted, or from before an outage
                log.debug("executor %s, sequence %d: not open here", deltas.executor, sequence_id)
                continue
            sequence.last_seen_s = now_s
            known = sequence.next_offset - offset
            if known > 0:  # sent again after a retraction
                if known >= num_tokens and not finish:
                    continue
                first, offset = min(first + known, end), sequence.next_offset
            elif known < 0:
                self._close_with_gap(sequence, offset, column[ITEM_BYTES * first : ITEM_BYTES * end], finish)
                continue
            new = column[ITEM_BYTES * first : ITEM_BYTES * end]
            of_row = logprobs.get(row)
            if of_row is not None and known > 0:
                of_row = skip_first(of_row, num_tokens - (end - first), num_tokens)
            self._write(sequence, offset, new, token_ids[first:end], finish, of_row, prompt_logprobs.get(row))

    def abort_request(self, request_id: str, attempt: int) -> None:
        """Closes an aborted attempt, and ignores its tokens that are still on their way."""
        self._aborts.note(request_id, attempt)
        sequence = self._requests.get(request_id)
        if sequence is not None and sequence.start.attempt <= attempt:
            self._close(sequence)

    def drop_all(self) -> None:
        """Closes all sequences and drops all texts: messages may have been lost, so no text can be continued."""
        self.text_deltas.clear()
        self.aborts.clear()
        self.refusals.clear()
        for sequence in list(self._requests.values()):
            self._close(sequence)
        self._executors.clear()
        self.resumable_texts.clear()

    def resume_request(self, request_id: str, gateway: str, num_chars: int, now_s: float) -> Resumed:
        """Redirects a request to another gateway, and returns its state with the text after `num_chars` characters."""
        resumable = self.resumable_texts.find_text(request_id, now_s)
        text = None if resumable is None else resumable.text_after(num_chars)
        if resumable is None or text is None:
            return Resumed()
        start = resumable.start
        sequence = self._requests.get(request_id)
        if sequence is not None:
            sequence.start = msgspec.structs.replace(sequence.start, gateway=gateway)
        return Resumed(
            found=True,
            attempt=start.attempt,
            scheduler=start.scheduler,
            token_ids=bytes(resumable.token_ids),
            text=text,
            finish=resumable.finish,
            num_prompt_tokens=start.num_prompt_tokens,
            num_cached_tokens=start.num_cached_tokens,
            running=sequence is not None,
            parts=b"" if num_chars else bytes(resumable.token_chars),
            answer_prefix=start.params.answer_prefix,
        )

    def on_executor_change(self, presence: Presence, *, alive: bool) -> None:
        """Closes the sequences of an executor that died or began a new epoch."""
        epoch, _, sequences = self._executors.get(presence.id, (NO_EPOCH, NO_EPOCH, {}))
        if not alive or epoch != presence.epoch:
            for sequence in list(sequences.values()):
                self._close(sequence)
        if not alive:
            self._executors.pop(presence.id, None)
        elif epoch != presence.epoch:
            self._executors[presence.id] = (presence.epoch, NO_EPOCH, {})

    def _sequences_of(self, executor: str, epoch: int, plan_epoch: int) -> dict[int, TextSequence] | None:
        """Sequences of an executor's epoch and plan epoch; None for an old epoch, whose last steps come late."""
        known = self._executors.get(executor)
        if known is not None and known[:2] == (epoch, plan_epoch):
            return known[2]
        if known is not None and epoch < known[0]:
            return None
        for sequence in list(known[2].values()) if known else ():
            self._close(sequence)
        sequences: dict[int, TextSequence] = {}
        self._executors[executor] = (epoch, plan_epoch, sequences)
        return sequences

    def _start(self, sequences: dict[int, TextSequence], sequence_id: int, start: SequenceStart, now_s: float) -> None:
        if start.attempt <= self._aborts.latest(start.request_id):
            return
        known = self._requests.get(start.request_id)
        if known is not None and known.start.attempt > start.attempt:
            return
        if known is not None and known.start.attempt == start.attempt:
            self._move(known, sequences, sequence_id, start, now_s)
            return
        if known is not None:
            self._close(known)
        span = telemetry.span("detokenize", start.trace, request=start.request_id, attempt=start.attempt)
        try:
            factory = self._verbose_factory if start.params.stop_conditions.keep_special else self._factory
            sequence = TextSequence(start, factory, span, self._policy)
        except TooSlow as error:
            span.end()
            self._refuse(start, str(error))
            return
        sequence.last_seen_s = now_s
        sequence.registered_as = (sequences, sequence_id)
        sequences[sequence_id] = self._requests[start.request_id] = sequence
        if start.params.resumable:
            self.resumable_texts.open_text(start, sequence.num_chars)
        if sequence.is_stopped:  # the row with the stop was lost
            self._write(sequence, sequence.next_offset, b"", array("i"), FinishReason.NONE)
        self._num_started += 1
        if self._num_started % self._policy.num_starts_per_sweep == 0:
            for idle in [s for s in self._requests.values() if now_s - s.last_seen_s > self._policy.idle_s]:
                self._close(idle)

    def _move(
        self,
        sequence: TextSequence,
        sequences: dict[int, TextSequence],
        sequence_id: int,
        start: SequenceStart,
        now_s: float,
    ) -> None:
        """Continues a request as another sequence, after a retraction or on another executor.

        Its state here is what replaying the output ids would give; only ids that are new here are processed.
        """
        old_sequences, old_id = sequence.registered_as
        old_sequences.pop(old_id, None)
        sequence.registered_as = (sequences, sequence_id)
        sequence.start = start
        sequence.last_seen_s = now_s
        sequences[sequence_id] = sequence
        missed = unpack(start.output_ids)[sequence.next_offset :]
        if missed:
            self._write(sequence, sequence.next_offset, pack(missed), missed, FinishReason.NONE)

    def _write(
        self,
        sequence: TextSequence,
        offset: int,
        column: bytes,
        token_ids: "array[int]",
        finish: int,
        logprobs: Logprobs | None = None,
        prompt_logprobs: Logprobs | None = None,
    ) -> None:
        start = sequence.start
        extras, token_chars = None, b""
        try:
            if logprobs is None and (len(token_ids) < 2 or not start.params.resumable):
                text = sequence.push_tokens(token_ids, finish)
            else:
                num_before = sequence.num_decoded
                texts, ends = sequence.push_tokens_singly(token_ids, finish)
                text, token_chars = "".join(texts), pack(map(len, texts))
                extras = RowExtras(
                    None
                    if logprobs is None
                    else token_logprobs(logprobs, token_ids, ends, num_before, _asked_ids(start), self._spell),
                    None if prompt_logprobs is None else self._prompt_logprobs(start, prompt_logprobs),
                    token_chars=token_chars,
                )
        except TooSlow as error:
            self._refuse(start, str(error))
            self._close(sequence)
            return
        if sequence.is_stopped:
            if not finish:
                abort = Abort(request_id=start.request_id, attempt=start.attempt, reason="stop")
                self.aborts.append((start.scheduler, abort))
            finish = FinishReason.STOP
            extras = replace(extras or RowExtras(), matched=sequence.matched)
        if sequence.answer_prefix:
            extras = replace(extras or RowExtras(), answer_prefix=sequence.answer_prefix)
            sequence.answer_prefix = ""
        self.text_deltas.add_row(start, offset, column, text, finish, extras)
        if start.params.resumable:
            self.resumable_texts.append_row(start, offset, column, text, finish, token_chars)
        if finish:
            self._close(sequence)

    def _prompt_logprobs(self, start: SequenceStart, logprobs: Logprobs) -> TokenLogprobs:
        token_ids = unpack(logprobs.token_ids)
        decode = self._factory(()).decode_token
        ends = list(accumulate(len(decode(token_id)) for token_id in token_ids))
        return token_logprobs(logprobs, token_ids, ends, 0, _asked_ids(start), self._spell)

    def _refuse(self, start: SequenceStart, message: str) -> None:
        error = InvalidRequest(message, param="stop_regex")
        self.refusals.append((start.gateway, refusal(error, start.request_id, start.attempt)))
        abort = Abort(request_id=start.request_id, attempt=start.attempt, reason="stop pattern")
        self.aborts.append((start.scheduler, abort))

    def _close_with_gap(self, sequence: TextSequence, offset: int, column: bytes, finish: int) -> None:
        """Passes on a row whose preceding tokens were lost. The gateway sees the gap in its offset and resubmits."""
        log.warning("%s: tokens %d to %d are missing", sequence.start.request_id, sequence.next_offset, offset)
        self.text_deltas.add_row(sequence.start, offset, column, "", finish)
        self._close(sequence)

    def _close(self, sequence: TextSequence) -> None:
        sequences, sequence_id = sequence.registered_as
        sequences.pop(sequence_id, None)
        self._requests.pop(sequence.start.request_id, None)
        self.resumable_texts.end_text(sequence.start.request_id, sequence.last_seen_s)
        sequence.span.set(tokens=sequence.next_offset, chars=sequence.num_chars)
        sequence.span.end()


def _asked_ids(start: SequenceStart) -> bytes:
    logprobs = start.params.logprobs
    return b"" if logprobs is None else logprobs.token_ids
