"""Detects that the last plan or report between scheduler and executor was lost, when no later one shows the gap."""

import math

from xylem.services.scheduler.core.events import ExecutorHeartbeat

NOTHING = -1  # no plan was sent, or no step reported


class LossDetector:
    """Compares an executor's heartbeats with the plans and reports known `timeout_s` before."""

    def __init__(self, plan_epoch: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s  # a message that has not arrived by then is lost
        self._plan_epoch = plan_epoch
        self._marked_s = -math.inf
        self._sent = NOTHING
        self._reported = NOTHING

    def find_loss(self, heartbeat: ExecutorHeartbeat, last_sent: int, last_report: int, now: float) -> str:
        """Names the lost message, or returns an empty string.

        last_sent: number of the last plan sent; last_report: step of the last report received; both -1 for none.
        """
        ours = heartbeat.plan_epoch == self._plan_epoch
        if now - self._marked_s < self._timeout_s:
            return ""
        if self._sent > NOTHING and (not ours or heartbeat.plan < self._sent):
            return f"plan {self._sent} of epoch {self._plan_epoch}"
        if self._reported > last_report:
            return f"the report of step {self._reported}"
        self._marked_s = now
        self._sent = last_sent
        self._reported = heartbeat.step if ours else NOTHING
        return ""
