"""Attempts that were aborted: an abort may overtake what it is about."""

from collections import OrderedDict

REMEMBERED = 4096


class RecentAborts:
    """The last REMEMBERED requests of which an attempt was aborted."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[str, int] = OrderedDict()  # the latest one of each

    def note(self, request_id: str, attempt: int) -> None:
        self._attempts[request_id] = max(attempt, self.latest(request_id))
        self._attempts.move_to_end(request_id)
        if len(self._attempts) > REMEMBERED:
            self._attempts.popitem(last=False)

    def latest(self, request_id: str) -> int:
        """This attempt and all before it are over; -1 when there was none."""
        return self._attempts.get(request_id, -1)
