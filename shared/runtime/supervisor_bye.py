"""A bye on behalf of a process that can say nothing any more: its supervisor saw it end."""

import logging

from xylem.shared.protocol import Presence, subjects
from xylem.shared.runtime.bus import Bus, BusError
from xylem.shared.runtime.errors import Unavailable
from xylem.shared.runtime.presence import ANY_EPOCH

log = logging.getLogger(__name__)

CONNECT_S = 1.0  # after that its missing heartbeats have told everybody


async def say_bye_for(
    nats_url: str, kind: str, instance: str, model_slug: str, ca_file: str = "", *, crashed: bool = False
) -> None:
    """Tells everybody at once what silence would tell them in two seconds. Without NATS nothing is said.

    crashed: it ended by a fault of its own, not because somebody stopped it.
    """
    try:
        bus = await Bus.connect(nats_url, f"supervisor of {kind}.{instance}", ca_file=ca_file, timeout_s=CONNECT_S)
    except BusError as error:
        log.debug("no bye for %s.%s: %s", kind, instance, error)
        return
    try:
        bye = Presence(kind=kind, id=instance, epoch=ANY_EPOCH, model=model_slug, state="bye", crashed=crashed)
        await bus.publish(subjects.presence(kind, instance), bye)
    except Unavailable as error:
        log.debug("no bye for %s.%s: %s", kind, instance, error)
    finally:
        await bus.drain()
