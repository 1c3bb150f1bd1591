"""How many pages an executor will need at the worst moment to come: the rule of admission by memory."""

import bisect

# Weight of one ended sequence in the learned share of max_tokens that is really used.
LEARNING = 0.05


class MemoryForecast:
    """Looks ahead to the peak of an executor's memory if every sequence grows to its expected length.

    Expected is `share` of the tokens that a request allows: the share is learned from how sequences really end (few
    clients use up their max_tokens) and rises with every retraction. All sequences draw at one pace, so the one with
    the least to go ends first and leaves its pages to the others. Sorted by what is to come, longest first, the k-th
    ends when the first k have grown by its growth g_k: the need at that moment is h_1 + .. + h_k + k * g_k, where h are
    the pages that they hold. A request comes in if the greatest of these needs, with itself among them, fits.

    Reserving the whole max_tokens of each would leave most of the memory idle; reserving nothing would admit
    sequences only to retract them. Being wrong is not fatal: what grows more than expected is retracted.

    Sequences of one growth count together, so that looking ahead takes as long as there are different growths, however
    many run. What is expected of a sequence is noted when it comes in and with every grant, and not in between.
    """

    def __init__(self, ahead_tokens: int) -> None:
        self.share = 0.5
        self.num_held = 0
        self._ahead_tokens = ahead_tokens
        self._noted: dict[int, tuple[int, int]] = {}  # by sequence: growth, pages held
        self._sums: dict[int, tuple[int, int]] = {}  # by growth: sequences, pages that they hold
        self._minus_growths: list[int] = []  # its keys, the longest growth first

    def expected_tokens(self, allowed: int, drawn: int) -> int:
        """Tokens that a sequence will still draw; at least the first grant."""
        return min(allowed - drawn, max(round(self.share * allowed) - drawn, self._ahead_tokens))

    def learn(self, allowed: int, used: int) -> None:
        """A sequence has ended."""
        self.share += LEARNING * (used / allowed - self.share)

    def learn_of_shortage(self) -> None:
        """More grew than was expected."""
        self.share = min(1.0, self.share + 2 * LEARNING)

    @property
    def growths(self) -> list[int]:
        """The different growths that are noted, the longest first."""
        return [-minus_growth for minus_growth in self._minus_growths]

    def note(self, sequence_id: int, num_held: int, growth: int) -> None:
        """The sequence has `num_held` pages, not counting those it found in the tree, and will need `growth` more."""
        self.forget(sequence_id)
        self._noted[sequence_id] = growth, num_held
        if growth not in self._sums:
            bisect.insort(self._minus_growths, -growth)
        self._change(growth, 1, num_held)

    def forget(self, sequence_id: int) -> None:
        """The sequence has no memory any more, or another row."""
        if sequence_id not in self._noted:
            return
        growth, num_held = self._noted.pop(sequence_id)
        self._change(growth, -1, -num_held)
        if not self._sums[growth][0]:
            del self._sums[growth]
            del self._minus_growths[bisect.bisect_left(self._minus_growths, -growth)]

    def peak(self, num_held: int, growth: int) -> int:
        """Pages needed at the worst moment if one more sequence came in, of so many pages that grows by `growth`."""
        at = bisect.bisect_left(self._minus_growths, -growth)
        rows = [(each, *self._sums[each]) for each in self.growths]
        rows.insert(at, (growth, 1, num_held))
        alive = held = peak = 0
        for to_come, num_sequences, num_pages in rows:
            alive, held = alive + num_sequences, held + num_pages
            peak = max(peak, held + alive * to_come)
        return peak

    def _change(self, growth: int, num_sequences: int, num_pages: int) -> None:
        sequences, pages = self._sums.get(growth, (0, 0))
        self._sums[growth] = sequences + num_sequences, pages + num_pages
        self.num_held += num_pages
