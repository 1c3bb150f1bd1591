"""Plain tokenization, by asking the tokenizers."""

from xylem.services.gateway.generation.context import Context
from xylem.shared.protocol import Detokenize, Detokenized, Tokenize, TokenizeReply, subjects
from xylem.shared.runtime.errors import from_code


async def tokens_of(context: Context, tokenize: Tokenize) -> bytes:
    """The column of token ids. Raises XylemError."""
    subject = subjects.tokenize(context.settings.model_slug)
    reply = await context.bus.request(subject, tokenize, TokenizeReply, timeout_s=context.policy.tokenize_timeout_s)
    if reply.code:
        raise from_code(reply.code, reply.message, reply.param)
    return reply.token_ids


async def text_of(context: Context, token_ids: bytes) -> str:
    """The text of a column of token ids. Raises XylemError."""
    subject = subjects.tokenize(context.settings.model_slug)
    reply = await context.bus.request(
        subject, Detokenize(token_ids=token_ids), Detokenized, timeout_s=context.policy.tokenize_timeout_s
    )
    if reply.code:
        raise from_code(reply.code, reply.message, reply.param)
    return reply.text
