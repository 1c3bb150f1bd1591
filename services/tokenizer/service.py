"""The tokenizer on the bus."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from xylem.services.tokenizer.prompt_encoder import PromptEncoder
from xylem.shared.model_info.model_card import ModelError
from xylem.shared.protocol import (
    Detokenize,
    Detokenized,
    Generate,
    Message,
    Tokenize,
    Tokenized,
    TokenizeReply,
    subjects,
)
from xylem.shared.protocol.columns import ITEM_BYTES, count, pack
from xylem.shared.runtime import telemetry
from xylem.shared.runtime.errors import Internal, InvalidRequest, PayloadTooLarge, Unavailable, XylemError, refusal
from xylem.shared.runtime.service import Service, StartupError
from xylem.shared.runtime.settings import TokenizerSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

# Up to here encoding takes about a millisecond, little more than a way through the thread pool.
INLINE_CHARS = 2048
QUESTIONS_AT_ONCE = 256
ENVELOPE_BYTES = 1024  # room for all of a reply but its payload
SCORED_BYTES = 32  # of a token with its log probability, its id and its text, as gateways get it


class TokenizerService(Service[TokenizerSettings]):
    """Acknowledges a request at once, encodes it in a task, and passes it on to a router."""

    kind = "tokenizer"
    settings_type = TokenizerSettings

    def __init__(self, settings: TokenizerSettings) -> None:
        super().__init__(settings)
        self._threads = ThreadPoolExecutor(settings.tokenizer_threads, thread_name_prefix="encode")
        self._in_hand: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        try:
            self._encoder = await asyncio.to_thread(PromptEncoder.load, self.settings.model)
        except ModelError as error:
            raise StartupError(str(error)) from None
        await self.bus.answer(
            subjects.tokenize(self.model),
            Generate | Tokenize | Detokenize,
            self._on_message,
            queue=subjects.QUEUE,
            concurrency=QUESTIONS_AT_ONCE,
        )

    async def drain(self) -> None:
        await self.bus.leave(subjects.tokenize(self.model))
        await asyncio.gather(*self._in_hand)

    async def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _on_message(self, message: Generate | Tokenize | Detokenize) -> Message | None:
        match message:
            case Generate():
                task = self.spawn(self._pass_on(message), name=f"tokenize {message.request_id}")
                self._in_hand.add(task)
                task.add_done_callback(self._in_hand.discard)
                return None
            case Tokenize():
                return await self._tokenize(message)
            case Detokenize():
                return await self._detokenize(message)

    async def _pass_on(self, generate: Generate) -> None:
        span = telemetry.span("tokenize", generate.trace, request=generate.request_id, attempt=generate.attempt)
        try:
            tokenized = await self._work(_size(generate), lambda: self._encoder.request(generate, span.trace))
            span.set(prompt_tokens=count(tokenized.prompt_ids))
            self._check_scores(tokenized)
            await self.bus.hand_over(subjects.route(self.model), tokenized)
        except Exception as error:
            known = _known(error, f"tokenizing {generate.request_id}")
            span.error(known.message)
            await self._refuse(generate, known)
        finally:
            span.end()

    async def _refuse(self, generate: Generate, error: XylemError) -> None:
        if isinstance(error, Unavailable):
            error = Unavailable("no router took the request")
        try:
            await self.bus.publish(
                subjects.gateway(generate.gateway), refusal(error, generate.request_id, generate.attempt)
            )
        except XylemError as lost:
            # The gateway's connection tells it of the outage.
            log.warning("could not refuse %s: %s", generate.request_id, lost)

    async def _tokenize(self, question: Tokenize) -> TokenizeReply:
        try:
            token_ids = pack(await self._work(_size(question), lambda: self._encoder.tokenize(question)))
            self._check_size(len(token_ids))
        except Exception as error:
            known = _known(error, "tokenizing")
            return TokenizeReply(code=known.code, message=known.message, param=known.param)
        return TokenizeReply(token_ids=token_ids)

    async def _detokenize(self, question: Detokenize) -> Detokenized:
        try:
            text = await self._work(len(question.token_ids), lambda: self._encoder.detokenize(question))
            self._check_size(len(text.encode()))
        except Exception as error:
            known = _known(error, "detokenizing")
            return Detokenized(code=known.code, message=known.message, param=known.param)
        return Detokenized(text=text)

    def _check_size(self, size: int) -> None:
        limit = self.bus.max_payload - ENVELOPE_BYTES
        if size > limit:
            raise PayloadTooLarge(f"the answer takes {size} bytes, more than the {limit} that the bus carries")

    def _check_scores(self, tokenized: Tokenized) -> None:
        """All of a prompt's scores travel in one message, with the first token."""
        wanted = tokenized.params.logprobs
        if wanted is None or wanted.prompt_from < 0:
            return
        num_tokens = max(0, count(tokenized.prompt_ids) - wanted.prompt_from)
        of_each = SCORED_BYTES * (1 + wanted.num_top) + ITEM_BYTES * count(wanted.token_ids)
        limit = self.bus.max_payload - ENVELOPE_BYTES
        if num_tokens * of_each > limit:
            raise InvalidRequest(
                f"the log probabilities of {num_tokens} prompt tokens with {wanted.num_top} likely ones each are more"
                f" than one answer carries; ask for those of at most {limit // of_each} tokens",
                param="logprobs",
            )

    async def _work(self, size: int, work: Callable[[], T]) -> T:
        """Does the work here when it is little, in a thread otherwise: the loop must stay free."""
        if size <= INLINE_CHARS:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _size(source: Generate | Tokenize) -> int:
    """How much there is to work through, roughly in characters."""
    return len(source.prompt or "") + len(source.messages or b"") + len(source.tools)


def _known(error: Exception, doing: str) -> XylemError:
    """The error as the client may see it; one that we did not expect is logged."""
    if isinstance(error, XylemError):
        return error
    log.error("%s failed", doing, exc_info=error)
    return Internal("the request could not be tokenized")
