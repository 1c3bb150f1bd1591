"""`python -m xylem.services.executor`."""

from xylem.services.executor.service import ExecutorService
from xylem.shared.runtime.service import run

run(ExecutorService)
