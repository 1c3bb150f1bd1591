"""POST /v1/messages and /v1/messages/count_tokens, in Anthropic's shape."""

import msgspec
from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.anthropic_messages.fields import CountTokensBody, MessagesBody, PromptBody
from xylem.services.gateway.apis.anthropic_messages.openapi import describe_message
from xylem.services.gateway.apis.anthropic_messages.request import NAMES, chat_body
from xylem.services.gateway.apis.anthropic_messages.response import MessageResponseWriter
from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.generation.context import Context, context_of, key_of
from xylem.services.gateway.generation.tokenize_client import tokens_of
from xylem.services.gateway.http.respond import respond
from xylem.shared.protocol import Tokenize
from xylem.shared.protocol.columns import count

router = APIRouter()

_encoder = msgspec.json.Encoder()


@router.post(
    "/v1/messages",
    summary="The assistant's next message, for Anthropic's clients",
    response_model=None,
    **describe_message(MessagesBody, "A message object, or with stream=true its named events as server-sent events."),
)
async def messages(request: Request) -> Response:
    context = context_of(request)
    body = await read_object(request)
    asked = MessagesBody.read(body)
    with NAMES.spoken():
        generation = chat_request(ChatBody.read(_chat_body(context, body, asked)), context.served_model)
        generation.continuous_usage = True  # the first event tells the number of input tokens
        stops = asked.stop_sequences
        return await respond(
            request, context, generation, "msg", lambda head: MessageResponseWriter(head, stops), resumable=False
        )


@router.post(
    "/v1/messages/count_tokens",
    summary="How many input tokens a message would have",
    response_model=None,
    **describe_message(CountTokensBody, '{"input_tokens": ...}'),
)
async def count_tokens(request: Request) -> Response:
    context = context_of(request)
    body = await read_object(request)
    asked = CountTokensBody.read(body)
    with NAMES.spoken():
        generation = chat_request(ChatBody.read(_chat_body(context, body, asked)), context.served_model)
        question = Tokenize(
            messages=generation.choices[0].messages,
            tools=generation.tools,
            template_arguments=generation.template_arguments,
            add_special_tokens=False,  # the chat template writes them itself
        )
        with context.asking(key_of(request)):
            column = await tokens_of(context, question)
    return Response(_encoder.encode({"input_tokens": count(column)}), media_type="application/json")


def _chat_body(context: Context, body: JsonObject, asked: PromptBody) -> JsonObject:
    return chat_body(body, asked, keeps_header=context.settings.client_header_blocks == "keep")
