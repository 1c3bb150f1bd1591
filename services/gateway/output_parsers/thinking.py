"""What a model thinks before it answers."""

from dataclasses import dataclass

from xylem.services.gateway.output_parsers.sheet import Broken, Sheet
from xylem.services.gateway.output_parsers.stepped import Steps
from xylem.services.gateway.output_parsers.words import Markers, blank, literal, until


@dataclass(frozen=True, slots=True)
class Thinks:
    """How a family marks its thoughts.

    assumed: the answer begins inside of the thoughts, whether or not the opening marker is there to see: the model was
    taught to, or the prompt ends with the marker. special: the markers are special tokens. also_ends: other markers
    that end the thoughts, and are no part of them.
    """

    opening: str = "<think>"
    ending: str = "</think>"
    assumed: bool = False
    special: bool = False
    also_ends: tuple[str, ...] = ()


def think(sheet: Sheet, thinks: Thinks) -> Steps[None]:
    """Gives out the thoughts, and returns where the answer begins.

    White space next to the markers belongs to them.
    """
    yield from blank(sheet)
    try:
        yield from literal(sheet, thinks.opening)
        sheet.drop()
    except Broken:
        sheet.unread_all()
        if not thinks.assumed:
            return
    sheet.rest = sheet.reason
    yield from _thoughts(sheet, thinks)
    sheet.rest = sheet.content
    yield from blank(sheet)
    sheet.drop()


def _thoughts(sheet: Sheet, thinks: Thinks) -> Steps[None]:
    yield from blank(sheet)
    sheet.drop()
    found = yield from until(sheet, Markers([thinks.ending, *thinks.also_ends]), sheet.reason)
    if found != thinks.ending:
        sheet.unread(len(found))
    sheet.drop()
