"""`python -m xylem.services.gateway`."""

from xylem.services.gateway.service import GatewayService
from xylem.shared.runtime.service import run

run(GatewayService)
