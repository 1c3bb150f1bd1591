from services.router.service import RouterService
from shared.service import run

run(RouterService)
