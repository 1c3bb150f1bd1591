"""A call as one JSON object: {"name": ..., "arguments": {...}}."""

import json

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.json_value import json_text, json_value, unescaped
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import blank, literal, peek

_ARGUMENTS = ("arguments", "parameters")
# What else models write beside the two. An object with other keys in front of its name is an answer in JSON, and
# should not have to wait for its end.
_BESIDE = ("type", "id", "index", "tool_call_id")


def json_call(buffer: ParserBuffer, name_key: str = "name") -> Steps[None]:
    """Reads the object; the call begins as soon as its name, the value of `name_key`, is known.

    Models mostly write the name first, but not always: arguments in front of it wait. Raises ParseError.
    """
    begun = False
    early = ""
    yield from blank(buffer)
    yield from literal(buffer, "{")
    char = ","
    while char == ",":
        yield from blank(buffer)
        key = yield from json_text(buffer)
        yield from blank(buffer)
        yield from literal(buffer, ":")
        yield from blank(buffer)
        if key == name_key and not begun:
            buffer.begin((yield from json_text(buffer)))
            begun = True
            buffer.arguments(_whole(early))
        elif key in _ARGUMENTS and begun:
            yield from json_arguments(buffer)
        elif key in _ARGUMENTS and not early:
            mark = buffer.mark()
            yield from json_value(buffer, None)
            early = buffer.since(mark)
        elif begun or key in _BESIDE:
            yield from json_value(buffer, None)
        else:
            raise ParseError
        yield from blank(buffer)
        char = yield None
    if char != "}" or not begun:
        if char != "}":
            buffer.unread()
        raise ParseError
    buffer.end()


def json_arguments(buffer: ParserBuffer) -> Steps[None]:
    """Reads the arguments of the call that has begun, and gives them out as they come. Raises ParseError.

    They are the model's own text. Where it writes the object into a string, it is what the string says; null is no
    arguments.
    """

    def instead(text: str) -> None:
        buffer.drop()
        buffer.arguments(text)

    buffer.drop()
    first = yield from peek(buffer)
    if first == '"':
        yield from unescaped(buffer, instead)
    elif first == "{":
        yield from json_value(buffer, buffer.arguments)
    else:
        yield from json_value(buffer, None)
        text = buffer.take()
        if text != "null":
            buffer.arguments(text)


def _whole(text: str) -> str:
    """The same for arguments that were there before the name."""
    if text == "null":
        return ""
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text, strict=False)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    except ValueError:
        return text
