from array import array

from tests.services.executor.plans import admit
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.engine.step_schedule import schedule_step
from xylem.services.executor.step.row import PLACEHOLDER_ID

PAGE_SIZE = 4


def reading(sequence_id: int, num_tokens: int, *, num_pages: int = 100, max_new_tokens: int = 4) -> SequenceState:
    admitted = admit(sequence_id, range(num_tokens), range(num_pages), max_new_tokens=max_new_tokens)
    return SequenceState.from_admit(admitted, frozenset(), 1000)


def decoding(sequence_id: int, *, num_pages: int = 100) -> SequenceState:
    sequence = reading(sequence_id, 4, num_pages=num_pages)
    sequence.finish_row(sequence.launch_row(4))
    sequence.accept_token(1)
    return sequence


def chosen(*sequences: SequenceState, token_budget: int) -> list[tuple[int, int]]:
    turns = schedule_step(sequences, page_size=PAGE_SIZE, token_budget=token_budget)
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
    sequence = SequenceState.from_admit(admit(1, [10, 11, 12], [5, 6], num_cached=4), frozenset(), 1000)
    first = sequence.launch_row(2)
    assert (list(first.token_ids), first.start, first.sample) == ([10, 11], 4, False)
    last = sequence.launch_row(1)
    assert (list(last.token_ids), last.start, last.sample) == ([12], 6, True)
    sequence.finish_row(first)
    assert (sequence.length, sequence.num_launched, sequence.num_awaited) == (6, 1, 1)
    sequence.finish_row(last)
    sequence.accept_token(99)
    drawn = sequence.launch_row(1)
    assert (list(drawn.token_ids), drawn.start, drawn.sample) == ([99], 7, True)
    assert drawn.pages == array("i", [5, 6])


def test_a_token_that_is_being_drawn_is_launched_by_a_name() -> None:
    sequence = reading(1, 4)
    rows = [sequence.launch_row(4), sequence.launch_row(1)]
    assert (list(rows[1].token_ids), rows[1].start, rows[1].sample) == ([PLACEHOLDER_ID], 4, True)
    sequence.finish_row(rows[0])
    sequence.accept_token(50)
    assert (list(sequence.pending), sequence.num_ready, sequence.has_forced_next_token) == ([50], 1, False)
    rows.append(sequence.launch_row(1))
    sequence.finish_row(rows[1])
    assert list(sequence.pending) == []
    sequence.accept_token(51)
    assert (list(sequence.pending), sequence.length, sequence.num_launched) == ([51], 5, 1)


def test_what_a_draw_under_way_ends_by_its_number_is_not_launched() -> None:
    sequence = reading(1, 4, max_new_tokens=2)
    prompt = sequence.launch_row(4)
    assert sequence.num_ready == 1
    sequence.launch_row(1)
    sequence.finish_row(prompt)
    sequence.accept_token(50)
    assert sequence.num_ready == 0


def test_pending_tokens_that_find_no_room_wait_for_it() -> None:
    sequence = reading(1, 4, num_pages=2)
    sequence.finish_row(sequence.launch_row(4))
    sequence.pending.extend(range(50, 56))
    assert schedule_step([sequence], page_size=PAGE_SIZE, token_budget=99) == [(sequence, 4)]
    part = sequence.launch_row(4)
    assert (list(part.token_ids), part.sample) == ([50, 51, 52, 53], False)
    sequence.finish_row(part)
    assert sequence.num_ready == 2
    rest = sequence.launch_row(2)
    assert (list(rest.token_ids), rest.start, rest.sample) == ([54, 55], 8, True)
