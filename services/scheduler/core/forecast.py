"""How many pages an executor will need at the worst moment to come: the rule of admission by memory."""

import bisect

from services.scheduler.core.books import Books
from services.scheduler.core.request import Sequence
from shared.columns import ITEM_BYTES


class Forecast:
    """Looks ahead to the peak of an executor's memory if every sequence grows to its expected length.

    Expected is `books.share` of the tokens that a request allows: the share is learned from how sequences really end
    (few clients use up their max_tokens) and rises with every retraction. All sequences draw at one pace, so the one
    with the least to go ends first and leaves its pages to the others. Sorted by what is to come, longest first, the
    k-th ends when the first k have grown by its growth g_k: the need at that moment is h_1 + .. + h_k + k * g_k, where
    h are the pages that they hold. A request comes in if the greatest of these needs, with itself among them, fits.

    Reserving the whole max_tokens of each would leave most of the memory idle; reserving nothing would admit
    sequences only to retract them. Being wrong is not fatal: what grows more than expected is retracted.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._rows = sorted((-self._growth(sequence), self._held(sequence)) for sequence in books.running.values())
        self._num_held = sum(held for _, held in self._rows)

    def expected_tokens(self, allowed: int, drawn: int) -> int:
        """Tokens that a sequence will still draw; at least the first grant."""
        books = self._books
        rest = allowed - drawn
        return min(rest, max(round(books.share * allowed) - drawn, books.ahead_tokens))

    def fits(self, num_held: int, growth: int) -> bool:
        """Whether one more sequence fits that holds `num_held` pages at first and then grows by `growth` pages.

        The pages that it shares with the tree are locked already.
        """
        if not self._rows:
            return True  # alone it fits, or it would not be in the queue
        # Locked by running sequences, but counted with none of them: prefixes that they share.
        shared = self._books.pages.num_pages - self._books.num_available - self._num_held
        rows = list(self._rows)
        bisect.insort(rows, (-growth, num_held))
        held = peak = 0
        for alive, (minus_growth, pages) in enumerate(rows, 1):
            held += pages
            peak = max(peak, held - alive * minus_growth)
        return shared + peak <= self._books.pages.num_pages

    def add(self, sequence: Sequence) -> None:
        """Counts a sequence that has just been admitted."""
        held = self._held(sequence)
        bisect.insort(self._rows, (-self._growth(sequence), held))
        self._num_held += held

    def _held(self, sequence: Sequence) -> int:
        return len(sequence.table) - sequence.num_matched

    def _growth(self, sequence: Sequence) -> int:
        """Pages that the sequence will need beyond those that it has."""
        allowed = sequence.limit + 1 - sequence.to_read
        drawn = len(sequence.tokens) // ITEM_BYTES - sequence.to_read
        length = max(sequence.length, sequence.to_read) + self.expected_tokens(allowed, drawn)
        return max(0, self._books.pages_for(min(length, sequence.limit)) - len(sequence.table))
