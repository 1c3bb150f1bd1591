"""POST /tokenize and /detokenize, also under /v1, in vLLM's shape."""

import msgspec
from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.openai_chat.messages import read_messages
from xylem.services.gateway.apis.operations.fields import DetokenizeBody, TokenizeBody
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of, key_of
from xylem.services.gateway.generation.served_model import check_model
from xylem.services.gateway.generation.tokenize_client import text_of, tokens_of
from xylem.services.gateway.http.openapi import describe
from xylem.shared.protocol import Tokenize
from xylem.shared.protocol.columns import unpack
from xylem.shared.runtime.errors import InvalidRequest

router = APIRouter()

_encoder = msgspec.json.Encoder()


@router.post("/v1/tokenize", include_in_schema=False, response_model=None)
@router.post(
    "/tokenize",
    summary="Token ids of a prompt or of chat messages",
    response_model=None,
    **describe(TokenizeBody, '{"tokens": [...], "count": ..., "max_model_len": ...}'),
)
async def tokenize(request: Request) -> Response:
    context = context_of(request)
    body = TokenizeBody.read(await read_object(request))
    check_model(body.model, context.served_model)
    prompt, messages = body.prompt, body.messages
    if (prompt is None) == (messages is None):
        raise InvalidRequest("give either prompt or messages", param="prompt")
    with_special = body.add_special_tokens
    question = Tokenize(
        prompt=prompt,
        messages=None if messages is None else read_messages(messages),
        template_arguments=_encoder.encode(body.chat_template_kwargs) if body.chat_template_kwargs else b"",
        # A chat template writes the special tokens itself.
        add_special_tokens=messages is None if with_special is None else with_special,
    )
    with context.asking(key_of(request)):
        column = await tokens_of(context, question)
    tokens = unpack(column).tolist()
    return _json({"tokens": tokens, "count": len(tokens), "max_model_len": context.served_model.context_length})


@router.post("/v1/detokenize", include_in_schema=False, response_model=None)
@router.post(
    "/detokenize",
    summary="The text of token ids",
    response_model=None,
    **describe(DetokenizeBody, '{"prompt": "..."}'),
)
async def detokenize(request: Request) -> Response:
    context = context_of(request)
    body = DetokenizeBody.read(await read_object(request))
    check_model(body.model, context.served_model)
    with context.asking(key_of(request)):
        text = await text_of(context, body.tokens)
    return _json({"prompt": text})


def _json(answer: dict[str, object]) -> Response:
    return Response(_encoder.encode(answer), media_type="application/json")
