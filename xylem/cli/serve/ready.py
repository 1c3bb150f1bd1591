"""When the whole can answer: the gateway says so, since it is the one that knows its peers."""

import asyncio
from collections.abc import Callable

import httpx

POLL_S = 0.1
ANSWER_S = 5.0


async def wait_until_ready(url: str, on_waiting: Callable[[str], None]) -> None:
    """Returns when GET /ready is 200. on_waiting gets what is still missing, whenever that changes."""
    said = ""
    # trust_env: a proxy of the environment has no business between two processes of this machine. verify: nothing
    # secret is said, and a certificate for the outside need not hold for the address that is asked here.
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=ANSWER_S, verify=False) as client:
        while True:
            try:
                answer = await client.get("/ready")
            except httpx.TransportError:
                pass
            else:
                if answer.status_code == 200:
                    return
                waits_for = _missing(answer)
                if waits_for != said:
                    said = waits_for
                    on_waiting(said)
            # Nobody tells this process: it has no connection to the bus.
            await asyncio.sleep(POLL_S)


def _missing(answer: httpx.Response) -> str:
    try:
        return f"waits for {', '.join(answer.json()['missing'])}"
    except (ValueError, LookupError, TypeError):
        return f"says {answer.status_code}"
