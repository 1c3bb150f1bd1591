"""Calls as tags with names: <invoke name="f"><parameter name="key">value</parameter></invoke>."""

import re
from dataclasses import dataclass

from xylem.services.gateway.output_parsers.incremental_parser import Steps
from xylem.services.gateway.output_parsers.key_value_arguments import ObjectText, read_value, types_of
from xylem.services.gateway.output_parsers.parser_buffer import ParserBuffer
from xylem.services.gateway.output_parsers.scan_steps import Markers, blank, either, literal, word

_QUOTED = re.compile(r'[^"<>]+')


@dataclass(frozen=True, slots=True)
class NamedTags:
    """The tags of a format. mark: what stands in front of their words. says_string: a parameter says if it is one."""

    mark: str = ""
    says_string: bool = False

    @property
    def opening(self) -> str:
        """Returns what a call begins with; its name and `">` follow."""
        return f'<{self.mark}invoke name="'

    @property
    def closing(self) -> str:
        """Returns what a call ends with."""
        return f"</{self.mark}invoke>"

    @property
    def parameter(self) -> str:
        """Returns what an argument begins with; its name follows."""
        return f'<{self.mark}parameter name="'

    @property
    def parameter_end(self) -> str:
        """Returns what an argument ends with."""
        return f"</{self.mark}parameter>"

    def read_call(self, buffer: ParserBuffer) -> Steps[None]:
        """Reads a call behind its opening. Raises ParseError."""
        following = Markers([self.parameter, self.closing])
        # A model sometimes forgets to close a parameter; the next one, or the call's end, does it then.
        endings = Markers([self.parameter_end, self.parameter, self.closing])
        name = yield from word(buffer)
        yield from literal(buffer, '">')
        buffer.begin(name)
        members = ObjectText(buffer)
        found = self.parameter_end
        while found != self.closing:
            if found == self.parameter_end:
                yield from blank(buffer)
                found = yield from either(buffer, following)
                continue
            key = yield from word(buffer, _QUOTED)
            yield from literal(buffer, '"')
            types = types_of(buffer.tools[name], key)
            if self.says_string:
                yield from literal(buffer, ' string="')
                types = frozenset({"string"} if (yield from word(buffer)) == "true" else ())
                yield from literal(buffer, '"')
            yield from literal(buffer, ">")
            buffer.drop()
            members.key(key)
            found = yield from read_value(buffer, types, endings, lines=False)
        members.end_object()
        buffer.end()
