"""POST /generate"""

from fastapi import APIRouter, Request, Response

from xylem.services.gateway.apis.sglang_generate.fields import GenerateBody
from xylem.services.gateway.apis.sglang_generate.request import generate_request
from xylem.services.gateway.apis.sglang_generate.response import GenerateResponseWriter
from xylem.services.gateway.fields.error_field_names import ErrorFieldNames
from xylem.services.gateway.fields.json_object import read_object
from xylem.services.gateway.generation.context import context_of
from xylem.services.gateway.http.openapi import describe
from xylem.services.gateway.http.respond import respond

LIMIT = (r"^max_tokens$", "sampling_params.max_new_tokens")
TEXT_NAMES = ErrorFieldNames([LIMIT, (r"^prompt$", "text")])
IDS_NAMES = ErrorFieldNames([LIMIT, (r"^prompt$", "input_ids")])

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
    body = GenerateBody.read(await read_object(request))
    generation = generate_request(body, context.served_model)
    names = IDS_NAMES if body.text is None else TEXT_NAMES
    with names.spoken():
        return await respond(
            request, context, generation.request, "gen", lambda head: GenerateResponseWriter(head, generation)
        )
