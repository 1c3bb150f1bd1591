"""The tokenizer on the bus."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from xylem.services.tokenizer.policy import TokenizerPolicy
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

# Estimates of sizes on the bus: all of a reply but its payload, and a token with its id, text and log probability.
ENVELOPE_BYTES = 1024
LOGPROB_BYTES = 32


class TokenizerService(Service[TokenizerSettings]):
    """Acknowledges a request at once, encodes it in a task, and hands it over to a router."""

    kind = "tokenizer"
    settings_type = TokenizerSettings

    def __init__(self, settings: TokenizerSettings, policy: TokenizerPolicy | None = None) -> None:
        super().__init__(settings)
        self._policy = policy or TokenizerPolicy(num_threads=settings.tokenizer_threads)
        self._threads = ThreadPoolExecutor(self._policy.num_threads, thread_name_prefix="encode")
        self._encoding: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        try:
            self._encoder = await asyncio.to_thread(self._load_encoder)
        except ModelError as error:
            raise StartupError(str(error)) from None
        await self.bus.answer(
            subjects.tokenize(self.model),
            Generate | Tokenize | Detokenize,
            self._on_message,
            queue=subjects.QUEUE,
            concurrency=self._policy.max_concurrent_questions,
        )

    def _load_encoder(self) -> PromptEncoder:
        settings = self.settings
        return PromptEncoder.load(
            settings.load_model_card(),
            strict_max_tokens=settings.strict_max_tokens,
            plain_user_text=settings.template_specials == "user-text=plain",
        )

    async def drain(self) -> None:
        await self.bus.leave(subjects.tokenize(self.model))
        await asyncio.gather(*self._encoding)

    async def stop(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _on_message(self, message: Generate | Tokenize | Detokenize) -> Message | None:
        match message:
            case Generate():
                task = self.spawn(self._encode_request(message), name=f"tokenize {message.request_id}")
                self._encoding.add(task)
                task.add_done_callback(self._encoding.discard)
                return None
            case Tokenize():
                return await self._tokenize(message)
            case Detokenize():
                return await self._detokenize(message)

    async def _encode_request(self, generate: Generate) -> None:
        span = telemetry.span("tokenize", generate.trace, request=generate.request_id, attempt=generate.attempt)
        try:
            tokenized = await self._offload(
                _num_chars(generate), lambda: self._encoder.encode_request(generate, span.trace)
            )
            span.set(prompt_tokens=count(tokenized.prompt_ids))
            self._check_logprobs_size(tokenized)
            await self.bus.hand_over(subjects.route(self.model), tokenized)
        except Exception as error:
            known = _client_error(error, f"tokenizing {generate.request_id}")
            span.error(known.message)
            await self._refuse(generate, known)
        finally:
            span.end()

    async def _refuse(self, generate: Generate, error: XylemError) -> None:
        if isinstance(error, Unavailable):
            error = Unavailable("no router took the request")
        try:
            await self.bus.publish(
                subjects.gateway(generate.gateway, self.kind), refusal(error, generate.request_id, generate.attempt)
            )
        except XylemError as lost:
            # The gateway learns of the outage from its own connection.
            self.bus.log_undelivered(log, "the refusal of %s", generate.request_id, lost)

    async def _tokenize(self, question: Tokenize) -> TokenizeReply:
        try:
            token_ids = pack(await self._offload(_num_chars(question), lambda: self._encoder.encode_question(question)))
            self._check_size(len(token_ids))
        except Exception as error:
            known = _client_error(error, "tokenizing")
            return TokenizeReply(code=known.code, message=known.message, param=known.param)
        return TokenizeReply(token_ids=token_ids)

    async def _detokenize(self, question: Detokenize) -> Detokenized:
        try:
            text = await self._offload(len(question.token_ids), lambda: self._encoder.decode_question(question))
            self._check_size(len(text.encode()))
        except Exception as error:
            known = _client_error(error, "detokenizing")
            return Detokenized(code=known.code, message=known.message, param=known.param)
        return Detokenized(text=text)

    def _check_size(self, size: int) -> None:
        limit = self.bus.max_payload - ENVELOPE_BYTES
        if size > limit:
            raise PayloadTooLarge(f"the answer takes {size} bytes, more than the {limit} that the bus carries")

    def _check_logprobs_size(self, tokenized: Tokenized) -> None:
        """Raises InvalidRequest when the log probabilities of a prompt, which travel in one message, exceed it."""
        wanted = tokenized.params.logprobs
        if wanted is None or wanted.prompt_from < 0:
            return
        num_tokens = max(0, count(tokenized.prompt_ids) - wanted.prompt_from)
        of_each = LOGPROB_BYTES * (1 + wanted.num_top) + ITEM_BYTES * count(wanted.token_ids)
        limit = self.bus.max_payload - ENVELOPE_BYTES
        if num_tokens * of_each > limit:
            raise InvalidRequest(
                f"the log probabilities of {num_tokens} prompt tokens with {wanted.num_top} likely ones each are more"
                f" than one answer carries; ask for those of at most {limit // of_each} tokens",
                param="logprobs",
            )

    async def _offload(self, num_chars: int, encode: Callable[[], T]) -> T:
        """Encodes a short text here and a long one in a thread: the event loop must stay free."""
        if num_chars <= self._policy.max_inline_chars:
            return encode()
        return await asyncio.get_running_loop().run_in_executor(self._threads, encode)


def _num_chars(source: Generate | Tokenize) -> int:
    """Length of the text to encode, roughly."""
    return len(source.prompt or "") + len(source.messages or b"") + len(source.tools)


def _client_error(error: Exception, doing: str) -> XylemError:
    """The error as the client may see it. An unexpected one is logged and becomes Internal."""
    if isinstance(error, XylemError):
        return error
    log.error("%s failed", doing, exc_info=error)
    return Internal("the request could not be tokenized")
