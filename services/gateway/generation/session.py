"""Serves one generation request: per-choice states, output queue, disconnect watch, usage."""

import asyncio
import sys
import time
from dataclasses import dataclass

import msgspec
from starlette.types import Receive

from xylem.services.gateway.generation.client_gone import ClientGone
from xylem.services.gateway.generation.context import Context
from xylem.services.gateway.generation.generation_request import ChoiceSpec, GenerationRequest
from xylem.services.gateway.generation.logprobs import LogprobQueue, LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta, OutputQueue
from xylem.services.gateway.generation.request_state import RequestState
from xylem.services.gateway.generation.resumption import Found
from xylem.services.gateway.generation.stream_cursor import StreamCursor
from xylem.services.gateway.generation.text_rows import TextRow
from xylem.services.gateway.output_parsers.deltas import CallBegun, Delta, Parser
from xylem.shared.protocol import FinishReason, Generate
from xylem.shared.runtime import telemetry


@dataclass(frozen=True, slots=True)
class Totals:
    """Token counts of a request. A prompt counts once, however many choices it has."""

    prompt: int
    completion: int
    cached: int


class GenerationSession:
    """Runs one request from its beginning to the last output of its last choice. `close` must be called in the end."""

    def __init__(self, context: Context, request: GenerationRequest, cursor: StreamCursor, traceparent: str) -> None:
        self.request = request
        self.id = cursor.request_id
        # What clients may call it, or one of its choices, when they want no more of it.
        self.names = {cursor.answer_id: list(range(len(request.choices)))}
        for index, choice in enumerate(request.choices):
            self.names.setdefault(f"{cursor.answer_id}-{index}", [index])
            if choice.name:
                self.names.setdefault(choice.name, []).append(index)
        self._context = context
        self._output_queue = OutputQueue(context.policy.attempts.max_unread_tokens)
        self._request_states: list[RequestState] = []  # one for each choice, in their request, or none at all
        self._unfinished = len(request.choices)
        # Text that the client has, when all is generated anew for a stream that broke off: it is not told again.
        self._to_skip = [choice_cursor.num_chars for choice_cursor in cursor.choice_cursors]
        self._num_chars = [0] * len(request.choices)
        self._parsers: list[Parser | None] = [None] * len(request.choices)  # from the first output on
        self._scores = [LogprobQueue() for _ in request.choices]
        self._prompt_scores: list[list[LogprobToken]] = [[] for _ in request.choices]
        self._called: set[int] = set()  # choices in which a call of a tool has begun
        self._watch: asyncio.Task[None] | None = None
        self._closed = False
        self._aborted: set[int] = set()
        self._begun_s = time.perf_counter()
        self._token_s: dict[int, float] = {}  # when each choice had its latest token
        self._ttft_s = 0.0
        self._finish = ""
        self._span = telemetry.span("request", traceparent, model=request.model, choices=len(request.choices))

    def start_choices(self, receive: Receive, found: list[Found]) -> None:
        """Starts a state per choice, or resumes those in `found`, and watches for the client's disconnect."""
        self._watch = self._context.spawn(self._watch_client(receive), name=f"client {self.id}")
        for index, choice in enumerate(self.request.choices):
            if self.request.only_echoes:
                self._output_queue.put_row(index, TextRow(0, 0, b"", "", FinishReason.LENGTH))
            else:
                generate = self._generate(index, choice)
                state = self._context.request_states.begin_state(
                    generate,
                    index,
                    self._output_queue,
                    found[index] if found else None,
                    is_counted=self.request.is_counted,
                )
                self._request_states.append(state)
        self._context.running.add_session(self)
        if found and not self.request.parses:
            self._to_skip = [0] * len(found)  # that is where they go on

    @property
    def done(self) -> bool:
        """Whether every choice has been taken to its finish."""
        return not self._unfinished

    async def take_deltas(self) -> list[OutputDelta]:
        """Returns the next outputs. Raises ClientGone, or the XylemError that ended a choice."""
        pieces = await self._output_queue.take_deltas()
        if self.request.by_token:
            pieces = [each for piece in pieces for each in piece.by_token()]
        now_s = time.perf_counter()
        for piece in pieces:
            self._read(piece)
            self._count(piece)
            if piece.finish:
                self._unfinished -= 1
                self._finish = piece.finish.name.lower()
            if piece.num_tokens:
                self._note_tokens(piece, now_s)
        return pieces

    def _read(self, piece: OutputDelta) -> None:
        """Takes the text apart, and lets its scores through. Text that the client has only moves the parser on."""
        index = piece.index
        parser, scores = self._parser(piece), self._scores[index]
        if self.request.choices[index].hides_output:
            piece.text, piece.num_tokens, piece.token_ids, piece.scored, piece.matched = "", 0, b"", [], None
            piece.finish = FinishReason.LENGTH if piece.finish is FinishReason.STOP else piece.finish
            return
        scores.add_tokens(piece.scored)
        prompt_scored, self._prompt_scores[index] = self._prompt_scores[index] or piece.prompt_scored, []
        if to_skip := min(self._to_skip[index], len(piece.text)):
            self._to_skip[index] -= to_skip
            self._num_chars[index] += to_skip
            self._note_calls(index, parser.push_text(piece.text[:to_skip]))
            scores.take_tokens(self._num_chars[index])
            piece.text, prompt_scored = piece.text[to_skip:], []
        self._num_chars[index] += len(piece.text)
        # A prompt's scores go with the first text, so that who has the text has them, too.
        piece.prompt_scored = prompt_scored if piece.text or piece.finish else []
        self._prompt_scores[index] = [] if piece.text or piece.finish else prompt_scored
        piece.deltas = parser.push_text(piece.text)
        piece.scored = scores.take_tokens(self._num_chars[index])
        if piece.finish:
            piece.last_deltas = parser.flush_text(
                is_cut=piece.finish is not FinishReason.STOP or piece.matched is not None
            )
            num_chars = sys.maxsize if self.request.keeps_cut_scores else self._num_chars[index]
            piece.last_scored = scores.take_rest(num_chars)
        self._note_calls(index, [*piece.deltas, *piece.last_deltas])
        piece.called = index in self._called

    def _parser(self, piece: OutputDelta) -> Parser:
        parser = self._parsers[piece.index]
        if parser is None:
            self._parsers[piece.index] = parser = self.request.make_parser(piece.answer_prefix)
        return parser

    def _note_calls(self, index: int, deltas: list[Delta]) -> None:
        if any(isinstance(delta, CallBegun) for delta in deltas):
            self._called.add(index)

    def _count(self, piece: OutputDelta) -> None:
        if self._request_states:
            state = self._request_states[piece.index]
            piece.num_prompt_tokens, piece.num_cached_tokens = (
                state.num_prompt_tokens,
                state.num_cached_tokens,
            )

    def abort_choices(self, indices: list[int]) -> int:
        """Ends choices that still run, with what they have; their reader is told. Returns how many there were."""
        ended = 0
        for index in indices if self._request_states else ():
            state = self._request_states[index]
            if not state.finish and index not in self._aborted:
                self._aborted.add(index)
                self._context.request_states.forget_state(state)
                self._output_queue.put_row(index, TextRow(0, 0, b"", "", FinishReason.ABORT))
                ended += 1
        return ended

    def totals(self) -> Totals:
        """Returns the token counts so far."""
        counts, choices = self.request.prompt_counts, self.request.choices
        prompts: dict[int, tuple[int, int]] = {i: (counts[i], 0) for i in range(len(counts))}
        for state in self._request_states:
            if state.num_prompt_tokens:
                of_prompt = choices[state.index].prompt_index
                known = prompts.get(of_prompt, (0, state.num_cached_tokens))
                prompts[of_prompt] = (state.num_prompt_tokens, min(known[1], state.num_cached_tokens))
        return Totals(
            prompt=sum(prompt for prompt, _ in prompts.values()),
            completion=sum(state.num_tokens for state in self._request_states if not choices[state.index].hides_output),
            cached=sum(cached for _, cached in prompts.values()),
        )

    def disconnect_client(self) -> None:
        """Ends the session as if the client had disconnected."""
        self._output_queue.put_error(ClientGone())

    def mark_failed(self, error: BaseException) -> None:
        """Marks the request's span."""
        self._span.error(str(error))

    def close(self) -> None:
        """Ends what still runs, and writes the account. Synchronous: it runs while the request is being cancelled."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._context.running.remove_session(self)
        for state in self._request_states:
            self._context.request_states.forget_state(state)
        totals = self.totals()
        metrics = self._context.metrics
        metrics.prompt_tokens += totals.prompt
        metrics.cached_tokens += totals.cached
        metrics.generation_tokens += totals.completion
        self._span.set(
            prompt_tokens=totals.prompt,
            completion_tokens=totals.completion,
            cached_tokens=totals.cached,
            ttft_s=self._ttft_s,
            finish_reason=self._finish or "none",
            attempts=max((state.num_attempts for state in self._request_states), default=0),
        )
        self._span.end()

    def _generate(self, index: int, choice: ChoiceSpec) -> Generate:
        prompt = choice.prompt
        request = self.request
        return Generate(
            request_id=f"{self.id}-{index}",
            attempt=0,
            gateway=self._context.settings.instance,
            detokenizer="",
            prompt=prompt if isinstance(prompt, str) else None,
            messages=choice.messages,
            token_ids=prompt if isinstance(prompt, bytes) else None,
            tools=request.tools,
            template_arguments=request.template_arguments,
            params=msgspec.structs.replace(
                choice.params,
                deadline_s=time.time() + self._context.settings.request_timeout_s,
                # Log probabilities are not kept: such a stream is generated anew for a client that comes back.
                resumable=request.event_ids and choice.params.logprobs is None,
            ),
            trace=self._span.trace,
            add_special_tokens=request.add_special_tokens,
            answer_markers=request.answer_markers,
        )

    def _note_tokens(self, piece: OutputDelta, now_s: float) -> None:
        last_s = self._token_s.get(piece.index)
        if last_s is not None:
            self._context.metrics.inter_token.observe((now_s - last_s) / piece.num_tokens, piece.num_tokens)
        elif not self._token_s:
            self._ttft_s = now_s - self._begun_s
            self._context.metrics.ttft.observe(self._ttft_s)
            self._span.event("first token")
        self._token_s[piece.index] = now_s

    async def _watch_client(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnect_client()
