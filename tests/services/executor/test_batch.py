from array import array

from services.executor.batch import select
from services.executor.running import Running, no_grammars
from tests.services.executor.plans import admit

PAGE_SIZE = 4


def reading(sequence_id: int, num_tokens: int, *, num_pages: int = 100) -> Running:
    return Running.begin(admit(sequence_id, range(num_tokens), range(num_pages)), frozenset(), no_grammars)


def decoding(sequence_id: int, *, num_pages: int = 100) -> Running:
    sequence = reading(sequence_id, 4, num_pages=num_pages)
    sequence.length = 4
    sequence.accept(1)
    return sequence


def chosen(*sequences: Running, token_budget: int) -> list[tuple[int, int]]:
    turns = select(sequences, page_size=PAGE_SIZE, token_budget=token_budget)
    return [(sequence.sequence_id, num_tokens) for sequence, num_tokens in turns]


def test_decoding_goes_before_reading_and_counts_against_the_budget() -> None:
    assert chosen(reading(1, 20), decoding(2), decoding(3), token_budget=10) == [(2, 1), (3, 1), (1, 8)]


def test_prompts_share_what_is_left_in_order_of_arrival() -> None:
    assert chosen(reading(1, 5), reading(2, 9), reading(3, 5), token_budget=10) == [(1, 5), (2, 5)]


def test_a_chunk_ends_with_its_prompt() -> None:
    sequence = reading(1, 5)
    sequence.length = 3
    assert chosen(sequence, token_budget=10) == [(1, 2)]


def test_reading_gets_a_page_even_when_decoding_takes_the_whole_budget() -> None:
    crowd = [decoding(i) for i in range(10)]
    assert chosen(reading(10, 20), *crowd, token_budget=6)[-1] == (10, PAGE_SIZE)


def test_all_that_decode_take_part_whatever_the_budget() -> None:
    assert len(chosen(*[decoding(i) for i in range(10)], token_budget=2)) == 10


def test_a_sequence_without_a_granted_page_sits_out() -> None:
    assert chosen(decoding(1, num_pages=1), decoding(2, num_pages=2), token_budget=10) == [(2, 1)]


def test_a_prompt_is_read_as_far_as_its_pages_go() -> None:
    assert chosen(reading(1, 20, num_pages=2), reading(2, 20), token_budget=10) == [(1, 8), (2, 2)]


def test_nobody_there() -> None:
    assert chosen(token_budget=10) == []


def test_the_rows_of_a_chunk_know_where_they_stand() -> None:
    sequence = Running.begin(admit(1, [10, 11, 12], [5, 6], num_cached=4), frozenset(), no_grammars)
    first = sequence.row(2)
    assert (list(first.token_ids), first.start, first.sample) == ([10, 11], 4, False)
    sequence.length = 6
    last = sequence.row(1)
    assert (list(last.token_ids), last.start, last.sample) == ([12], 6, True)
    sequence.length = 7
    sequence.accept(99)
    drawn = sequence.row(1)
    assert (list(drawn.token_ids), drawn.start, drawn.sample) == ([99], 7, True)
    assert drawn.pages == array("i", [5, 6])
