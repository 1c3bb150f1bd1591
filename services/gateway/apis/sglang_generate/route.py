"""POST /generate"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.sglang_generate.fields import GenerateBody
from xylem.services.gateway.apis.sglang_generate.request import generate_request
from xylem.services.gateway.apis.sglang_generate.response import GenerateResponseWriter
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

router = APIRouter()


@router.put("/generate", include_in_schema=False, response_model=None)
@router.post(
    "/generate",
    summary="The text that follows a prompt, in SGLang's shape",
    response_model=None,
    **describe(
        GenerateBody,
        '{"text", "output_ids", "meta_info"}, a list of these for a batch, or with stream=true the same as server-sent'
        " events.",
    ),
)
async def generate(request: Request) -> Response:
    context = context_of(request)
    generation = generate_request(GenerateBody.read(await read_object(request)), context.served_model)
    return await respond(
        request, context, generation.request, "gen", lambda head: GenerateResponseWriter(head, generation)
    )
