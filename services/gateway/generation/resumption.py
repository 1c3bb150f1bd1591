"""This module asks detokenizers for a stream that broke off."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from xylem.shared.protocol import Presence, Resume, Resumed, subjects
from xylem.shared.runtime.bus import Bus
from xylem.shared.runtime.errors import XylemError


@dataclass(frozen=True, slots=True)
class Found:
    """Holds what is left of another gateway's request, and which detokenizer has it."""

    detokenizer: str
    epoch: int
    resumed: Resumed


async def find(
    bus: Bus,
    model: str,
    gateway: str,
    detokenizers: Sequence[Presence],
    request_id: str,
    num_chars: int,
    *,
    timeout_s: float,
) -> Found | None:
    """Asks all detokenizers for the text after so many characters. Who has it sends what follows to `gateway`."""
    question = Resume(request_id=request_id, gateway=gateway, num_chars=num_chars)

    async def ask(peer: Presence) -> Found:
        try:
            subject = subjects.resume(model, peer.id)
            return Found(peer.id, peer.epoch, await bus.request(subject, question, Resumed, timeout_s=timeout_s))
        except XylemError:
            return Found(peer.id, peer.epoch, Resumed())

    answers = await asyncio.gather(*map(ask, detokenizers))
    return max((each for each in answers if each.resumed.found), key=lambda each: each.resumed.attempt, default=None)
