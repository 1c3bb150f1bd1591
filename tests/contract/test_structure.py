"""The tree keeps the house's rules of names and prose, as tools/structure_counts.py counts them."""

from tests.conftest import QUICK_SYSTEM, SLOW, TESTS
from tools.structure_counts import (
    common_verbs,
    documented,
    fragments,
    lines_with_any,
    of_gateway,
    repeated_classes,
    sources,
)

MAX_FRAGMENTS = 0.03  # share of docstrings
MAX_ANY = 60  # lines of the gateway


def test_no_class_name_stands_twice() -> None:
    assert repeated_classes(sources()) == {}


def test_docstrings_are_sentences() -> None:
    found = sources()
    num_documented = sum(1 for source in found for _ in documented(source.tree))
    incomplete = fragments(found)
    assert len(incomplete) <= MAX_FRAGMENTS * num_documented, "\n".join(incomplete)


def test_no_file_holds_many_concepts() -> None:
    assert [str(source.path) for source in sources() if source.text.count("\n") > 400] == []


def test_what_is_marked_slow_is_there() -> None:
    assert [path for path in (*SLOW, *QUICK_SYSTEM) if not (TESTS / path).exists()] == []


def test_the_gateway_is_typed() -> None:
    found = lines_with_any(of_gateway(sources()))
    assert len(found) < MAX_ANY, "\n".join(found)


def test_methods_of_the_gateway_are_verb_and_noun() -> None:
    assert common_verbs(of_gateway(sources())) == {}
