"""This module reads what a model thinks before it answers."""

from dataclasses import dataclass

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.parser_buffer import ParseError, ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, literal, until


@dataclass(frozen=True, slots=True)
class ThinkingMarkers:
    """Says how a family marks its thoughts.

    assumed: the answer begins inside of the thoughts, whether or not the opening marker is there to see: the model was
    taught to, or the prompt ends with the marker. special: the markers are special tokens. also_ends: other markers
    that end the thoughts, and are no part of them.
    """

    opening: str = "<think>"
    ending: str = "</think>"
    assumed: bool = False
    special: bool = False
    also_ends: tuple[str, ...] = ()


def think(buffer: ParserBuffer, thinking_markers: ThinkingMarkers) -> Steps[None]:
    """Gives out the thoughts, and returns where the answer begins.

    White space next to the markers belongs to them.
    """
    yield from blank(buffer)
    try:
        yield from literal(buffer, thinking_markers.opening)
        buffer.drop()
    except ParseError:
        buffer.unread_all()
        if not thinking_markers.assumed:
            return
    buffer.rest = buffer.reason
    yield from _thoughts(buffer, thinking_markers)
    buffer.rest = buffer.content
    yield from blank(buffer)
    buffer.drop()


def _thoughts(buffer: ParserBuffer, thinking_markers: ThinkingMarkers) -> Steps[None]:
    yield from blank(buffer)
    buffer.drop()
    found = yield from until(buffer, Markers([thinking_markers.ending, *thinking_markers.also_ends]), buffer.reason)
    if found != thinking_markers.ending:
        buffer.unread(len(found))
    buffer.drop()
