"""`python -m services.scheduler`."""

from services.scheduler.service import SchedulerService
from shared.service import run

run(SchedulerService)
