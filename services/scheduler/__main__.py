"""`python -m xylem.services.scheduler`."""

from xylem.services.scheduler.service import SchedulerService
from xylem.shared.runtime.service import run

run(SchedulerService)
