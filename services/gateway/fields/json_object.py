"""The JSON object of a request body."""

import codecs

import msgspec
from starlette.requests import Request

from xylem.services.gateway.fields.json_types import Json, JsonObject
from xylem.shared.runtime.errors import InvalidRequest

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


async def read_object(request: Request) -> JsonObject:
    """Returns the body of a request. Raises InvalidRequest, and PayloadTooLarge from the limit around the application.

    It is parsed on the event loop: 50 ms for the largest body that the default settings allow, 2 us for a common one.
    """
    return parse_object(await request.body())


def parse_object(data: bytes) -> JsonObject:
    """Parses a JSON object, after a byte order mark or without. Raises InvalidRequest for anything else."""
    try:
        body: Json = _decoder.decode(data.removeprefix(codecs.BOM_UTF8))
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is no valid UTF-8: {error.reason} at byte {error.start}") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is no valid JSON: {error}") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    if type(body) is not dict:
        raise InvalidRequest(f"the body must be a JSON object, not {_NAMES.get(type(body), 'something else')}")
    return body


def arguments_text(value: Json) -> str:
    """Returns the arguments of a call in a client's history as chat messages have them: JSON in a string."""
    if type(value) is str:
        return value
    return "{}" if value is None else _encoder.encode(value).decode()


_NAMES = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}
