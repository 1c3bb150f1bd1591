"""The forecast against a replay of what it forecasts, page by page."""

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.core.books import Books
from services.scheduler.core.forecast import Forecast
from services.scheduler.core.request import Request, Sequence
from shared.columns import pack
from shared.messages import Capacity, Limits, Tokenized

NUM_PAGES = 40


def running(books: Books, number: int, held: int, growth: int) -> Sequence:
    """A sequence of `held` pages (of one token) that is expected to need `growth` more. It does not leave the books."""
    message = Tokenized(f"r{number}", 0, "g", "d", pack([number] * held), limits=Limits(max_tokens=growth + 1))
    request = Request(message, number, 0.0, 0.0, "", message.prompt_ids, held)
    table = books.pages.allocate(held)
    node = books.tree.lock(books.tree.match(b"", 0, ""), 0.0)
    sequence = Sequence(
        id=number,
        request=request,
        executor="e",
        tokens=bytearray(message.prompt_ids),
        to_read=held,
        length=held,
        limit=held + growth,
        table=table,
        node=node,
        num_matched=0,
        num_inserted=0,
        reading=False,
    )
    books.running[number] = sequence
    return sequence


def peak(rows: list[tuple[int, int]]) -> int:
    """The greatest need while all grow by a page at a time and leave when they are done."""
    need, alive = 0, rows
    for grown in range(max(growth for _, growth in rows) + 1):
        alive = [row for row in alive if row[1] >= grown]
        need = max(need, sum(held + grown for held, _ in alive))
    return need


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 12)), min_size=2, max_size=5))
def test_a_sequence_comes_in_if_the_peak_fits(rows: list[tuple[int, int]]) -> None:
    books = Books("s", "e", 1, Capacity(NUM_PAGES, 1, 8, 64), 1, 1)
    books.share = 1.0
    for number, (held, growth) in enumerate(rows[1:]):
        running(books, number, held, growth)
    forecast = Forecast(books)
    assert forecast.fits(*rows[0]) == (peak(rows) <= NUM_PAGES)


def test_alone_everything_fits() -> None:
    assert Forecast(Books("s", "e", 1, Capacity(4, 1, 8, 64), 1, 1)).fits(4, 100)


def test_the_share_of_max_tokens_is_learned() -> None:
    books = Books("s", "e", 1, Capacity(NUM_PAGES, 1, 8, 64), 1, 4)
    forecast = Forecast(books)
    assert forecast.expected_tokens(100, 0) == 50
    assert forecast.expected_tokens(100, 60) == 4  # longer than expected: one more grant
    assert forecast.expected_tokens(100, 98) == 2
    for number in range(8):
        books.drop(running(books, number, 1, 20), 0.0)  # they end without a single token
    assert forecast.expected_tokens(100, 0) < 40
    books.retract(running(books, 9, 1, 20), 0.0)
    assert forecast.expected_tokens(100, 0) > 40
