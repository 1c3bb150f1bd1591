"""Forecast of the most pages an executor will need at once: the rule of admission by memory."""

import bisect

from xylem.services.scheduler.core.policy import SchedulerPolicy


class MemoryForecast:
    """Predicts the peak of an executor's memory if every sequence grows to its expected length.

    Expected is `share` of the tokens that a request allows: the share is learned from how sequences really end (few
    clients use up their max_tokens) and rises with every retraction. All sequences decode at one pace, so the one with
    the least to go ends first and leaves its pages to the others. Sorted by what is to come, longest first, the k-th
    ends when the first k have grown by its growth g_k: the need at that moment is h_1 + .. + h_k + k * g_k, where h are
    the pages that they hold. A request comes in if the greatest of these needs, with itself among them, fits.

    Reserving the whole max_tokens of each would leave most of the memory idle; reserving nothing would admit
    sequences only to retract them. Being wrong is not fatal: what grows more than expected is retracted.

    Sequences of one growth count together, so that the time of a forecast depends on the number of different growths
    and not on the number of sequences. A sequence is updated at its admission and with every grant, not in between.
    """

    def __init__(self, policy: SchedulerPolicy) -> None:
        self.share = 0.5
        self.num_held_pages = 0
        self._policy = policy
        self._sequences: dict[int, tuple[int, int]] = {}  # by sequence: growth, pages held
        self._sums: dict[int, tuple[int, int]] = {}  # by growth: sequences, pages that they hold
        self._minus_growths: list[int] = []  # negated keys of _sums, the longest growth first

    def expected_tokens(self, allowed: int, decoded: int) -> int:
        """Returns how many more tokens a sequence is expected to decode; at least the first grant.

        allowed: tokens that the request allows; decoded: those of them that are decoded already.
        """
        return min(allowed - decoded, max(round(self.share * allowed) - decoded, self._policy.grant_ahead_tokens))

    def learn_from_end(self, allowed: int, used: int) -> None:
        """Moves the share towards that of a sequence which ended after `used` of `allowed` tokens."""
        self.share += self._policy.length_learning_rate * (used / allowed - self.share)

    def learn_from_retraction(self) -> None:
        """Raises the share: sequences grew more than expected."""
        self.share = min(1.0, self.share + 2 * self._policy.length_learning_rate)

    @property
    def growths(self) -> list[int]:
        """Different growths of the sequences in pages, the longest first."""
        return [-minus_growth for minus_growth in self._minus_growths]

    def set_sequence(self, sequence_id: int, num_held: int, growth: int) -> None:
        """Adds or replaces a sequence that holds `num_held` pages beside matched ones, and will need `growth` more."""
        self.remove_sequence(sequence_id)
        self._sequences[sequence_id] = growth, num_held
        if growth not in self._sums:
            bisect.insort(self._minus_growths, -growth)
        self._change(growth, 1, num_held)

    def remove_sequence(self, sequence_id: int) -> None:
        """Removes a sequence that holds no memory any more. Does nothing for an unknown one."""
        if sequence_id not in self._sequences:
            return
        growth, num_held = self._sequences.pop(sequence_id)
        self._change(growth, -1, -num_held)
        if not self._sums[growth][0]:
            del self._sums[growth]
            del self._minus_growths[bisect.bisect_left(self._minus_growths, -growth)]

    def peak_pages(self, num_held: int, growth: int) -> int:
        """Returns the most pages needed at once if one more sequence holds `num_held` pages and grows by `growth`."""
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
        self.num_held_pages += num_pages
