"""Commands to other services, and what they say."""

from typing import Any

import msgspec

from xylem.shared.protocol import Control, ControlReply, subjects
from xylem.shared.runtime.bus import Bus


async def command(bus: Bus, kind: str, instance: str, what: str, /, **arguments: Any) -> tuple[bool, dict[str, Any]]:
    """Whether it did as it was told, and the details. Raises XylemError when it does not answer."""
    control = Control(command=what, arguments=msgspec.json.encode(arguments) if arguments else b"")
    reply = await bus.request(subjects.control(kind, instance), control, ControlReply)
    detail: dict[str, Any] = msgspec.json.decode(reply.detail)
    return reply.ok, detail
