"""POST /v1/chat/completions"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.openai_chat.fields import ChatBody
from xylem.services.gateway.apis.openai_chat.request import chat_request
from xylem.services.gateway.apis.openai_chat.response import ChatResponseWriter
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond
from xylem.services.gateway.http.response_writer import Head

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    summary="The assistant's next message",
    response_model=None,
    **describe(ChatBody, "A chat.completion object, or with stream=true its chunks as server-sent events."),
)
async def chat_completions(request: Request) -> Response:
    context = context_of(request)
    generation = chat_request(ChatBody.read(await read_object(request)), context.served_model)

    def make_writer(head: Head) -> ChatResponseWriter:
        return ChatResponseWriter(head, with_logprobs=generation.shows_logprobs, names_tool=generation.names_tool)

    return await respond(request, context, generation, "chatcmpl", make_writer)
