"""`python -m xylem.services.router`."""

from xylem.services.router.service import RouterService
from xylem.shared.runtime.service import run

run(RouterService)
