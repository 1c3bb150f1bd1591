"""The kinds of text the demonstration model is made for, one table of them all."""

from tools.demo_model.chat import Kind
from tools.demo_model.kinds.echo import echo
from tools.demo_model.kinds.facts import capital, colour
from tools.demo_model.kinds.numbers import count, total, words
from tools.demo_model.kinds.person import person
from tools.demo_model.kinds.smalltalk import smalltalk
from tools.demo_model.kinds.tales import tale
from tools.demo_model.kinds.tools import call, result, without
from tools.demo_model.kinds.turns import turns

KINDS: tuple[Kind, ...] = (
    Kind("capitals", 0.8, capital),
    Kind("colours", 0.7, colour),
    Kind("number words", 1.2, words),
    Kind("sums", 2.5, total),
    Kind("counting", 1.5, count),
    Kind("echo", 2.0, echo),
    Kind("person as JSON", 2.0, person),
    Kind("smalltalk", 0.8, smalltalk),
    Kind("stories", 0.4, tale),
    Kind("several turns", 1.5, turns),
    Kind("choosing a tool", 2.0, call),
    Kind("tool result", 1.0, result),
    Kind("no tool", 0.5, without, with_tools=False),
)

__all__ = ["KINDS"]
