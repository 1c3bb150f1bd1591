"""This module says how long to wait before a process that died is started again."""

FIRST_S = 0.25
LONGEST_S = 5.0
SETTLED_S = 10.0  # a process that lived this long had started well: its death is a new story


class Backoff:
    """At once after a good life; after deaths soon after the start 0.25 s, 0.5 s, ... up to 5 s."""

    def __init__(self) -> None:
        self.early_deaths = 0

    def after(self, lived_s: float) -> float:
        """Seconds to wait, given how long the process lived."""
        if lived_s >= SETTLED_S:
            self.early_deaths = 0
            return 0.0
        self.early_deaths += 1
        if self.early_deaths == 1:
            return 0.0
        return float(min(LONGEST_S, FIRST_S * 2 ** (self.early_deaths - 2)))
