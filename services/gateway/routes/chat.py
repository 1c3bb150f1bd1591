"""POST /v1/chat/completions"""

from fastapi import APIRouter, Request, Response

from services.gateway.body import read_object
from services.gateway.context import context_of
from services.gateway.field_tables import CHAT
from services.gateway.forms.chat import ChatForm
from services.gateway.openapi import describe
from services.gateway.order import chat_order
from services.gateway.respond import respond

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    summary="The assistant's next message",
    response_model=None,
    **describe(CHAT, "A chat.completion object, or with stream=true its chunks as server-sent events."),
)
async def chat_completions(request: Request) -> Response:
    context = context_of(request)
    order = chat_order(await read_object(request), context.offer)
    shown = order.shows_logprobs
    return await respond(request, context, order, "chatcmpl", lambda head: ChatForm(head, with_logprobs=shown))
