"""The Jinja environment that chat templates on the hub expect: set up like the one of transformers.

https://huggingface.co/docs/transformers/main/en/chat_templating_writing
"""

import json
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from xylem.shared.model_info.template_values import AbsentContent


class GenerationBlock(jinja2.ext.Extension):
    """Renders `{% generation %} ... {% endgeneration %}`, which marks training targets, as plain text."""

    tags = {"generation"}  # noqa: RUF012 - as jinja declares it

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Returns JSON without the HTML escapes of jinja's own filter. Templates set the options of `json.dumps`."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message: str) -> NoReturn:
    """Raises TemplateError: a template calls this function to refuse messages."""
    raise jinja2.TemplateError(message)


def strftime_now(format: str) -> str:
    """Returns the local time; templates put today's date into system prompts."""
    return datetime.now().strftime(format)


def environment() -> ImmutableSandboxedEnvironment:
    """Builds a sandboxed environment, since templates are downloaded code."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.tests["none"] = lambda value: value is None or isinstance(value, AbsentContent)
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = strftime_now
    return made
