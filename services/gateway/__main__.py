"""`python -m services.gateway`."""

from services.gateway.service import GatewayService
from shared.service import run

run(GatewayService)
