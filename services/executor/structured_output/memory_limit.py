"""Limits the memory of this process from here on."""

import contextlib
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

STATM = Path("/proc/self/statm")
TOO_MUCH = 97
"""Exit status of a process that has taken more than it may, where the system does not refuse it the memory."""
LOOK_EVERY_S = 0.05


class MemoryLimit:
    """Refuses more than num_bytes of growth; where the system can't (macOS), the process ends with TOO_MUCH."""

    def __init__(self, num_bytes: int, statm: Path = STATM) -> None:
        self._num_bytes = num_bytes
        self._statm = statm
        self._most_resident_bytes = 0
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def begin(self) -> None:
        """Counts from the memory that is in use now."""
        if self._statm.exists():
            pages = int(self._statm.read_text().split()[0])
            most = pages * resource.getpagesize() + self._num_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
            return
        is_first = not self._most_resident_bytes
        self._most_resident_bytes = _resident_bytes() + self._num_bytes
        if is_first:
            threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Lets what is done within take as much as it wants, and counts anew afterwards."""
        if self._statm.exists():
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            self._most_resident_bytes = sys.maxsize
        yield
        self.begin()

    def _watch(self) -> None:
        while _resident_bytes() <= self._most_resident_bytes:
            time.sleep(LOOK_EVERY_S)
        os._exit(TOO_MUCH)


def _resident_bytes() -> int:
    """The most that it ever was, which only grows."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
