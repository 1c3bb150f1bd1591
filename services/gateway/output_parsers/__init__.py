"""Takes a model's text apart: content, reasoning and calls of tools, by the family of the model.

Owns: what the families' markers are, and the text of a choice that is not decided yet.
Comes in: the text, in any pieces; the tools of the request; the model's chat template and type.
Goes out: deltas (deltas.py), and the grammars that force a family's own form of a call.

The rule: a call begins when its name is certain and is the name of one of the request's tools. Before that, and where
the form of a call breaks off, text is content, as it is all that may be lost otherwise; only markers and the white
space around them are left away. Arguments go out as the model writes them, whether or not they end as JSON.
"""

from dataclasses import replace
from typing import Any

from xylem.services.gateway.output_parsers.calls import answer_with_calls, calls_in_text, plain
from xylem.services.gateway.output_parsers.deltas import Parser, PlainParser
from xylem.services.gateway.output_parsers.format_table import FORMATS
from xylem.services.gateway.output_parsers.grammar import allowed_calls, forced_calls
from xylem.services.gateway.output_parsers.incremental_parser import IncrementalParser, Steps
from xylem.services.gateway.output_parsers.model_family import Family, choose
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer, Schema
from xylem.services.gateway.output_parsers.thinking import ThinkingMarkers, think

__all__ = ["Family", "allowed_calls", "choose", "forced_calls", "make_parser"]


def make_parser(family: Family, *, tools: list[dict[str, Any]] | None, thinking: bool, prefix: str = "") -> Parser:
    """A parser for the text of one choice.

    tools: those of the request, as clients write them; without any there are no calls. thinking: whether thoughts are
    to be told from the answer; where they are not, markers of thoughts are text. prefix: the beginning of the answer
    that the prompt ends with, which says whether the text begins within thoughts.
    """
    schemas = _schemas(tools or [])
    thinking_markers = family.thinking_markers if thinking else None
    format_ = FORMATS[family.format]
    if not (format_.steps or schemas or thinking_markers or family.ends or format_.ignored):
        return PlainParser()
    if thinking_markers and prefix and not any(marker in prefix for marker in thinking_markers.pair):
        # The prompt ends within an answer that has no thoughts.
        thinking_markers = replace(thinking_markers, assumed=False)
    buffer = ParserBuffer(schemas, family.ends)
    parser = IncrementalParser(buffer, _steps(buffer, family, thinking_markers))
    if prefix:
        parser.begin_with(prefix)
    return parser


def _steps(buffer: ParserBuffer, family: Family, thinking_markers: ThinkingMarkers | None) -> Steps[None]:
    format_ = FORMATS[family.format]
    if format_.steps:
        # It writes an answer without calls in its channels, too.
        yield from format_.steps(buffer)
    form = format_.form if buffer.tools else None
    if thinking_markers and (yield from think(buffer, thinking_markers, form)):
        # Some models close their thoughts behind the calls.
        yield from calls_in_text(buffer, form, [thinking_markers.ending, *format_.ignored])
    elif form:
        yield from answer_with_calls(buffer, form, format_.ignored)
    else:
        yield from plain(buffer, format_.ignored)


def _schemas(tools: list[dict[str, Any]]) -> dict[str, Schema]:
    """The schemas of the arguments by name. A tool may come bare, without {"type": "function", "function": ...}."""
    functions = [tool.get("function", tool) for tool in tools]
    found = ((function["name"], function.get("parameters")) for function in functions)
    return {name: schema if isinstance(schema, dict) else {} for name, schema in found}
