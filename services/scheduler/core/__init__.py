"""The scheduler's decisions, pure and synchronous: no clock, no I/O, no randomness.

Owns: the waiting queue; per executor its pages, its radix tree of cached prefixes and its running sequences.
Comes in: events (`events.py`) and the time. Goes out: actions: plans, acceptances, refusals, news of the caches.
Begin reading at `core.py`, then `books.py`, `admission.py`, `radix.py`.
"""

from xylem.services.scheduler.core.integrity import IntegrityError, check_integrity
from xylem.services.scheduler.core.scheduler import SchedulerCore

__all__ = ["IntegrityError", "SchedulerCore", "check_integrity"]
