"""Whether the last plan or report between scheduler and executor was lost, when no later one shows the gap."""

import math

from xylem.services.scheduler.core.events import Heard

# What one side has said is with the other within this time, or it is lost.
PATIENCE_S = 1.0
NOTHING = -1


class LossDetector:
    """Compares what an executor's heartbeats say with what was known of it some time before."""

    def __init__(self, plan_epoch: int) -> None:
        self._plan_epoch = plan_epoch
        self._marked_s = -math.inf
        self._sent = NOTHING
        self._told = NOTHING

    def lost(self, heard: Heard, last_sent: int, last_report: int, now: float) -> str:
        """What was lost, or an empty string. last_sent, last_report: numbers of our plan and of its report."""
        ours = heard.plan_epoch == self._plan_epoch
        if now - self._marked_s < PATIENCE_S:
            return ""
        if self._sent > NOTHING and (not ours or heard.plan < self._sent):
            return f"plan {self._sent} of epoch {self._plan_epoch}"
        if self._told > last_report:
            return f"the report of step {self._told}"
        self._marked_s = now
        self._sent = last_sent
        self._told = heard.step if ours else NOTHING
        return ""
