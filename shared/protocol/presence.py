"""Defines heartbeats: kind, id, epoch and load of a live service."""

from typing import Annotated

import msgspec

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count, Int64, Serial

PROTOCOL_VERSION = 2

MAX_PAGES = 1 << 22  # a scheduler keeps books of every page: more than any device has would only eat its memory


class Capacity(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Says what an executor offers to its scheduler. token_budget: prompt and decode tokens of one step."""

    num_pages: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGES)]
    page_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    max_running: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
    token_budget: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    role: str = "both"  # prefill, decode or both; schedulers read it when there are pools
    group: str = "default"  # a scheduler takes the executors of its group


class Presence(Message, frozen=True, tag="Presence"):
    """Is sent as a heartbeat. `epoch` changes with every restart, reconnection or reset of the sender."""

    kind: str
    id: str
    epoch: Serial
    model: str
    state: str = "ready"  # starting | standby | ready | draining | bye
    running: Count = 0
    waiting: Count = 0
    free_pages: Count = 0
    total_pages: Count = 0
    version: int = PROTOCOL_VERSION
    capacity: Capacity | None = None
    group: str = ""  # of a scheduler: the executors it plans for, unless an older one of the group does
    # Of an executor: what it has applied and told. A scheduler that knows less has lost a plan or a report.
    plan_epoch: Int64 = -1
    plan: Int64 = -1
    step: Int64 = -1
    crashed: bool = False  # with the state "bye": it ended by a fault, not because somebody stopped it


class WhoIsThere(Message, frozen=True, tag="WhoIsThere"):
    """Asks everybody to send a heartbeat now."""

    asker: str
