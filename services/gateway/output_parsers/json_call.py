"""A call as one JSON object: {"name": ..., "arguments": {...}}."""

import json

from xylem.services.gateway.output_parsers.json_value import json_text, json_value, unescaped
from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import blank, literal, peek

_ARGUMENTS = ("arguments", "parameters")
# What else models write beside the two. An object with other keys in front of its name is an answer in JSON, and
# should not have to wait for its end.
_BESIDE = ("type", "id", "index")


def json_call(sheet: Sheet) -> Steps[None]:
    """Reads the object; the call begins as soon as its name is known.

    Models mostly write the name first, but not always: arguments in front of it wait. Raises Broken.
    """
    begun = False
    early = ""
    yield from blank(sheet)
    yield from literal(sheet, "{")
    char = ","
    while char == ",":
        yield from blank(sheet)
        key = yield from json_text(sheet)
        yield from blank(sheet)
        yield from literal(sheet, ":")
        yield from blank(sheet)
        if key == "name" and not begun:
            sheet.begin((yield from json_text(sheet)))
            begun = True
            sheet.arguments(_whole(early))
        elif key in _ARGUMENTS and begun:
            yield from json_arguments(sheet)
        elif key in _ARGUMENTS and not early:
            mark = sheet.mark()
            yield from json_value(sheet, None)
            early = sheet.since(mark)
        elif begun or key in _BESIDE:
            yield from json_value(sheet, None)
        else:
            raise Broken
        yield from blank(sheet)
        char = yield None
    if char != "}" or not begun:
        if char != "}":
            sheet.unread()
        raise Broken
    sheet.end()


def json_arguments(sheet: Sheet) -> Steps[None]:
    """Reads the arguments of the call that has begun, and gives them out as they come. Raises Broken.

    They are the model's own text. Where it writes the object into a string, it is what the string says; null is no
    arguments.
    """

    def instead(text: str) -> None:
        sheet.drop()
        sheet.arguments(text)

    sheet.drop()
    first = yield from peek(sheet)
    if first == '"':
        yield from unescaped(sheet, instead)
    elif first == "{":
        yield from json_value(sheet, sheet.arguments)
    else:
        yield from json_value(sheet, None)
        text = sheet.take()
        if text != "null":
            sheet.arguments(text)


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
