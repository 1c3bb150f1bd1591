"""The grammars that wait to be compiled: clients take turns by the time that theirs took, short ones first."""

import threading
from dataclasses import dataclass

Key = tuple[str, str]
"""Kind and text of a grammar."""


@dataclass(frozen=True, slots=True)
class CompileJob:
    """One grammar to compile. client: who asked first. is_slow: it has taken longer than quick ones may."""

    key: Key
    client: str
    is_slow: bool = False


class CompileQueue:
    """Hands jobs to the threads that compile. May be used from every thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[CompileJob] = []
        self._spent_s: dict[str, float] = {}  # by client, as long as anything waits or is compiled
        self._num_running = 0
        self._closed = False

    def put(self, job: CompileJob) -> None:
        with self._changed:
            self._waiting.append(job)
            self._changed.notify_all()

    def take(self, *, slow: bool) -> CompileJob | None:
        """Waits for a job and returns it; None when the queue is closed. slow: slow ones, too, and these first."""
        with self._changed:
            while not self._closed:
                offered = [job for job in self._waiting if slow or not job.is_slow]
                if offered:
                    job = min(offered, key=self._rank)
                    self._waiting.remove(job)
                    self._num_running += 1
                    return job
                self._changed.wait()
        return None

    def finish(self, job: CompileJob, seconds: float) -> None:
        """Charges a job's time to its client."""
        with self._changed:
            self._spent_s[job.client] = self._spent_s.get(job.client, 0.0) + seconds
            self._num_running -= 1
            if not self._waiting and not self._num_running:
                self._spent_s.clear()

    def close(self) -> None:
        """Ends all that wait in `take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _rank(self, job: CompileJob) -> tuple[bool, float, int]:
        return not job.is_slow, self._spent_s.get(job.client, 0.0), len(job.key[1])
