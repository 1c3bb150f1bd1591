"""From token deltas to text deltas: all sequences of a detokenizer. Pure of bus and clock."""

import logging
from array import array
from dataclasses import replace
from itertools import accumulate

import msgspec

from xylem.services.detokenizer.decoders import DecoderFactory
from xylem.services.detokenizer.logprobs import Spell, scored_tokens, without_first
from xylem.services.detokenizer.outbox import Outbox, RowExtras
from xylem.services.detokenizer.resumable_texts import ResumableTexts
from xylem.services.detokenizer.stop_matcher import TooSlow
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

# A sequence that was silent for so long is taken for lost: nobody told us of its end. Looked for now and then.
IDLE_S = 900.0
STARTS_PER_SWEEP = 1024
NO_LIFE = -1


class Transcriber:
    """Open sequences by executor life and sequence id, and by request.

    `outbox` fills with rows for gateways, `aborts` with (scheduler, message) for sequences that met a stop string,
    `refusals` with (gateway, message) for those whose stop pattern is hostile. factory: makes decoders;
    verbose_factory: those that render special tokens; spell: the bytes of a token.
    """

    def __init__(self, factory: DecoderFactory, verbose_factory: DecoderFactory, spell: Spell) -> None:
        self.outbox = Outbox()
        self.tails = ResumableTexts()
        self.aborts: list[tuple[str, Abort]] = []
        self.refusals: list[tuple[str, Refused]] = []
        self._factory = factory
        self._verbose_factory = verbose_factory
        self._spell = spell
        self._lives: dict[str, tuple[int, int, dict[int, TextSequence]]] = {}  # executor -> (epoch, plan epoch, by id)
        self._requests: dict[str, TextSequence] = {}
        self._aborts = RecentAborts()
        self._num_opened = 0

    @property
    def num_open(self) -> int:
        return len(self._requests)

    def take(self, deltas: TokenDeltas, now_s: float) -> None:
        """Works in one message. now_s: any monotonic time."""
        sequences = self._life(deltas.executor, deltas.epoch, deltas.plan_epoch)
        if sequences is None:
            return
        for sequence_id, start in deltas.starts:
            self._open(sequences, sequence_id, start, now_s)
        column = deltas.token_ids
        token_ids = unpack(column)
        scores, prompt_scores = dict(deltas.scores), dict(deltas.prompt_scores)
        end = 0
        for row, (sequence_id, offset, num_tokens, finish) in enumerate(
            zip(
                unpack(deltas.sequence_ids),
                unpack(deltas.offsets),
                unpack(deltas.counts),
                unpack(deltas.finishes),
                strict=True,
            )
        ):
            first, end = end, end + num_tokens
            sequence = sequences.get(sequence_id)
            if sequence is None:  # cut at a stop string, aborted, or from before an outage
                log.debug("executor %s, sequence %d: not open here", deltas.executor, sequence_id)
                continue
            sequence.seen_s = now_s
            known = sequence.next_offset - offset
            if known > 0:  # said again after a retraction
                if known >= num_tokens and not finish:
                    continue
                first, offset = min(first + known, end), sequence.next_offset
            elif known < 0:
                self._lose(sequence, offset, column[ITEM_BYTES * first : ITEM_BYTES * end], finish)
                continue
            new = column[ITEM_BYTES * first : ITEM_BYTES * end]
            of_row = scores.get(row)
            if of_row is not None and known > 0:
                of_row = without_first(of_row, num_tokens - (end - first), num_tokens)
            self._write(sequence, offset, new, token_ids[first:end], finish, of_row, prompt_scores.get(row))

    def forget(self, request_id: str, attempt: int) -> None:
        """The attempt was aborted: its executor says nothing of it any more but what is on its way."""
        self._aborts.note(request_id, attempt)
        sequence = self._requests.get(request_id)
        if sequence is not None and sequence.start.attempt <= attempt:
            self._close(sequence)

    def forget_all(self) -> None:
        """Messages may have been lost: no text can be continued."""
        self.outbox.clear()
        self.aborts.clear()
        self.refusals.clear()
        for sequence in list(self._requests.values()):
            self._close(sequence)
        self._lives.clear()
        self.tails.clear()

    def resume(self, request_id: str, gateway: str, num_chars: int, now_s: float) -> Resumed:
        """Sends what comes next of a request to another gateway, and returns what that one has to know."""
        tail = self.tails.find(request_id, now_s)
        text = None if tail is None else tail.since(num_chars)
        if tail is None or text is None:
            return Resumed()
        start = tail.start
        sequence = self._requests.get(request_id)
        if sequence is not None:
            sequence.start = msgspec.structs.replace(sequence.start, gateway=gateway)
        return Resumed(
            found=True,
            attempt=start.attempt,
            scheduler=start.scheduler,
            token_ids=bytes(tail.token_ids),
            text=text,
            finish=tail.finish,
            num_prompt_tokens=start.num_prompt_tokens,
            num_cached_tokens=start.num_cached_tokens,
            running=sequence is not None,
            parts=b"" if num_chars else bytes(tail.parts),
        )

    def on_executor(self, presence: Presence, *, alive: bool) -> None:
        """An executor died, or began another life: its sequences are gone."""
        epoch, _, sequences = self._lives.get(presence.id, (NO_LIFE, -1, {}))
        if not alive or epoch != presence.epoch:
            for sequence in list(sequences.values()):
                self._close(sequence)
        if not alive:
            self._lives.pop(presence.id, None)
        elif epoch != presence.epoch:
            self._lives[presence.id] = (presence.epoch, -1, {})

    def _life(self, executor: str, epoch: int, plan_epoch: int) -> dict[int, TextSequence] | None:
        """The sequences of an executor's life; None for one that is over, whose last steps come late."""
        life = self._lives.get(executor)
        if life is not None and life[:2] == (epoch, plan_epoch):
            return life[2]
        if life is not None and epoch < life[0]:
            return None
        for sequence in list(life[2].values()) if life else ():
            self._close(sequence)
        sequences: dict[int, TextSequence] = {}
        self._lives[executor] = (epoch, plan_epoch, sequences)
        return sequences

    def _open(self, sequences: dict[int, TextSequence], sequence_id: int, start: SequenceStart, now_s: float) -> None:
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
            sequence = TextSequence(start, factory, span)
        except TooSlow as error:
            span.end()
            self._give_up(start, str(error))
            return
        sequence.seen_s = now_s
        sequence.place = (sequences, sequence_id)
        sequences[sequence_id] = self._requests[start.request_id] = sequence
        if start.params.resumable:
            self.tails.open(start, sequence.num_chars)
        if sequence.is_stopped:  # the row that said so was lost
            self._write(sequence, sequence.next_offset, b"", array("i"), FinishReason.NONE)
        self._num_opened += 1
        if self._num_opened % STARTS_PER_SWEEP == 0:
            for idle in [s for s in self._requests.values() if now_s - s.seen_s > IDLE_S]:
                self._close(idle)

    def _move(
        self,
        sequence: TextSequence,
        sequences: dict[int, TextSequence],
        sequence_id: int,
        start: SequenceStart,
        now_s: float,
    ) -> None:
        """The request goes on as another sequence, after a retraction or on another executor.

        Its state here is what replaying the output ids would give; only ids that we have not seen are worked in.
        """
        place, old_id = sequence.place
        place.pop(old_id, None)
        sequence.place = (sequences, sequence_id)
        sequence.start = start
        sequence.seen_s = now_s
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
        scores: Logprobs | None = None,
        prompt_scores: Logprobs | None = None,
    ) -> None:
        start = sequence.start
        extras, parts = None, b""
        try:
            if scores is None and (len(token_ids) < 2 or not start.params.resumable):
                text = sequence.push(token_ids, finish)
            else:
                num_before = sequence.num_decoded
                texts, ends = sequence.push_each(token_ids, finish)
                text, parts = "".join(texts), pack(map(len, texts))
                scored = None
                if scores is not None:
                    scored = scored_tokens(scores, token_ids, ends, num_before, _asked_ids(start), self._spell)
                extras = RowExtras(scored, self._scored_prompt(start, prompt_scores), parts=parts)
        except TooSlow as error:
            self._give_up(start, str(error))
            self._close(sequence)
            return
        if sequence.is_stopped:
            if not finish:
                abort = Abort(request_id=start.request_id, attempt=start.attempt, reason="stop")
                self.aborts.append((start.scheduler, abort))
            finish = FinishReason.STOP
            extras = replace(extras or RowExtras(), matched=sequence.matched)
        self.outbox.add(start, offset, column, text, finish, extras)
        if start.params.resumable:
            self.tails.add(start, offset, column, text, finish, parts)
        if finish:
            self._close(sequence)

    def _scored_prompt(self, start: SequenceStart, scores: Logprobs | None) -> TokenLogprobs | None:
        if scores is None:
            return None
        token_ids = unpack(scores.token_ids)
        decode = self._factory(()).decode_token
        ends = list(accumulate(len(decode(token_id)) for token_id in token_ids))
        return scored_tokens(scores, token_ids, ends, 0, _asked_ids(start), self._spell)

    def _give_up(self, start: SequenceStart, why: str) -> None:
        error = InvalidRequest(why, param="stop_regex")
        self.refusals.append((start.gateway, refusal(error, start.request_id, start.attempt)))
        abort = Abort(request_id=start.request_id, attempt=start.attempt, reason="stop pattern")
        self.aborts.append((start.scheduler, abort))

    def _lose(self, sequence: TextSequence, offset: int, column: bytes, finish: int) -> None:
        """Tokens before `offset` never came. The gateway sees the same gap in this row, and submits again."""
        log.warning("%s: tokens %d to %d are missing", sequence.start.request_id, sequence.next_offset, offset)
        self.outbox.add(sequence.start, offset, column, "", finish)
        self._close(sequence)

    def _close(self, sequence: TextSequence) -> None:
        sequences, sequence_id = sequence.place
        sequences.pop(sequence_id, None)
        self._requests.pop(sequence.start.request_id, None)
        self.tails.rest(sequence.start.request_id, sequence.seen_s)
        sequence.span.set(tokens=sequence.next_offset, chars=sequence.num_chars)
        sequence.span.end()


def _asked_ids(start: SequenceStart) -> bytes:
    logprobs = start.params.logprobs
    return b"" if logprobs is None else logprobs.token_ids
