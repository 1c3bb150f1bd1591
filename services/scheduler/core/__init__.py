"""The scheduler's decisions, pure and synchronous: no clock, no I/O, no randomness.

Owns: the waiting queue; per executor its pages, its radix tree of cached prefixes and its running sequences.
Comes in: events (`events.py`) and the time. Goes out: actions: plans, acceptances, refusals, cache events.
Begin reading at `scheduler.py`, then `executor_state.py`, `admission.py`, `kv_cache/radix_tree.py`.
"""

from xylem.services.scheduler.core.integrity import IntegrityError, check_integrity
from xylem.services.scheduler.core.policy import SchedulerPolicy
from xylem.services.scheduler.core.scheduler import SchedulerCore

__all__ = ["IntegrityError", "SchedulerCore", "SchedulerPolicy", "check_integrity"]
