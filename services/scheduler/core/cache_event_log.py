"""Cache events of one executor for routers: which prefixes it begins and ceases to hold."""

from xylem.shared.protocol import CacheEvents


class CacheEventLog:
    """Collects the changes of one executor's prefix cache in the order in which they happen.

    `inserted` says that all pages up to the end of a prefix are held, `evicted` that the last page of a prefix and
    all beyond it are not; within a message inserted prefixes come first. Salted prefixes are not published: only their
    owner can ask for them, and the message has no salt. max_pages: deeper pages are not published.
    """

    def __init__(self, scheduler: str, executor: str, epoch: int, max_pages: int) -> None:
        self.max_pages = max_pages
        self._scheduler = scheduler
        self._executor = executor
        self._epoch = epoch
        self._sequence = 0
        self._batches: list[tuple[list[bytes], list[bytes]]] = []

    def add_inserted(self, salt: str, prefix: bytes) -> None:
        """Logs that the cache holds `prefix`, a column of tokens."""
        if not salt:
            if not self._batches or self._batches[-1][1]:
                self._batches.append(([], []))
            self._batches[-1][0].append(prefix)

    def add_evicted(self, salt: str, prefix: bytes) -> None:
        """Logs that the last page of `prefix`, a column of tokens, and all beyond it are evicted."""
        if not salt:
            if not self._batches:
                self._batches.append(([], []))
            self._batches[-1][1].append(prefix)

    def take_events(self) -> list[CacheEvents]:
        """Returns the events since the last call, numbered without a gap."""
        batches, self._batches = self._batches, []
        first = self._sequence
        self._sequence += len(batches)
        return [
            CacheEvents(self._scheduler, self._executor, self._epoch, number, tuple(inserted), tuple(evicted))
            for number, (inserted, evicted) in enumerate(batches, first)
        ]
