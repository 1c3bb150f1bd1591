"""POST /generate"""

from fastapi import APIRouter, Request, Response

from services.gateway.body import read_object
from services.gateway.context import context_of
from services.gateway.native.fields import GENERATE
from services.gateway.native.form import GenerateForm
from services.gateway.native.order import generate_order
from services.gateway.openapi import describe
from services.gateway.respond import respond

router = APIRouter()


@router.put("/generate", include_in_schema=False, response_model=None)
@router.post(
    "/generate",
    summary="The text that follows a prompt, in SGLang's shape",
    response_model=None,
    **describe(
        GENERATE,
        '{"text", "output_ids", "meta_info"}, a list of these for a batch, or with stream=true the same as server-sent'
        " events.",
    ),
)
async def generate(request: Request) -> Response:
    context = context_of(request)
    generation = generate_order(await read_object(request), context.offer)
    return await respond(request, context, generation.order, "gen", lambda head: GenerateForm(head, generation))
