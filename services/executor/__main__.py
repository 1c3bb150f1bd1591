"""`python -m services.executor`."""

from services.executor.service import ExecutorService
from shared.service import run

run(ExecutorService)
