"""`python -m xylem.shared.runtime.health KIND`: asks the service on this host over the bus whether it is well.

For container health checks: prints one line and exits with 0 when the service answers and is ready (or finishing what
runs), with 1 otherwise. The question takes the way of the traffic: a service that is cut off from NATS is not healthy.
"""

import asyncio
import json
import sys

from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.errors import XylemError
from xylem.shared.runtime.settings import Settings, SettingsError, load

CONNECT_S = 2.0
ANSWER_S = 2.0
HEALTHY = ("ready", "draining")


async def ask(url: str, kind: str, instance: str, ca_file: str = "") -> str:
    """The state of a service. Raises XylemError or BusError when it can't be had."""
    bus = await Bus.connect(url, f"health.{kind}.{instance}", ca_file=ca_file, timeout_s=CONNECT_S)
    try:
        reply = await bus.request(subjects.control(kind, instance), Control("ping"), ControlReply, timeout_s=ANSWER_S)
        return str(json.loads(reply.detail).get("state", "unknown"))
    finally:
        await bus.drain()


def main(arguments: list[str]) -> int:
    """Exit code: 0 healthy, 1 not, 2 wrong use."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m xylem.shared.runtime.health KIND\n")
        return 2
    kind = arguments[0]
    try:
        settings = load(Settings)
        state = asyncio.run(ask(settings.nats_url, kind, settings.instance, settings.nats_ca_file))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (XylemError, BusError) as error:
        sys.stdout.write(f"{kind}: {error}\n")
        return 1
    sys.stdout.write(f"{kind} {settings.instance}: {state}\n")
    return 0 if state in HEALTHY else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
