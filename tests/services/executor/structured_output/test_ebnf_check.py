"""Whether a grammar in EBNF matches any text."""

import pytest
import xgrammar

from xylem.services.executor.structured_output.ebnf_check import matches_some_text


@pytest.mark.parametrize(
    ("ebnf", "expected"),
    [
        ('root ::= "a"', True),
        ('root ::= ""', True),
        ('root ::= "a" root', False),
        ('root ::= "a" root | "b"', True),
        ('root ::= "a" other\nother ::= "b" other', False),
        ('root ::= "a" other?\nother ::= "b" other', True),
        ('root ::= "a" other*\nother ::= "b" other', True),
        ('root ::= "a" other+\nother ::= "b" other', False),
        ('root ::= "a" other{0,3}\nother ::= "b" other', True),
        ('root ::= "a" other{2,3}\nother ::= "b" other', False),
        ('root ::= ("a" | other) other\nother ::= root', False),
        ('root ::= ["()|] "(\\"" [^\\]a-c] other{1,70}\nother ::= "b" | "x" root', True),
    ],
)
def test_texts_exist_or_not(ebnf: str, expected: bool) -> None:
    assert matches_some_text(str(xgrammar.Grammar.from_ebnf(ebnf))) is expected
