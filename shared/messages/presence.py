"""Heartbeats: who is there, in which life, with what load."""

import msgspec

from shared.messages.base import Message

PROTOCOL_VERSION = 1


class Capacity(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an executor offers to its scheduler. token_budget: prompt and decode tokens of one step."""

    num_pages: int
    page_size: int
    max_running: int
    token_budget: int
    role: str = "both"
    group: str = "default"  # a scheduler takes the executors of its group


class Presence(Message, frozen=True):
    """A heartbeat. `epoch` changes with every restart, reconnection or reset of the sender."""

    kind: str
    id: str
    epoch: int
    model: str
    state: str = "ready"  # starting | standby | ready | draining | bye
    running: int = 0
    waiting: int = 0
    free_pages: int = 0
    total_pages: int = 0
    version: int = PROTOCOL_VERSION
    capacity: Capacity | None = None
    group: str = ""  # of a scheduler: the executors it plans for, unless an older one of the group does
    # Of an executor: what it has applied and told. A scheduler that knows less has lost a plan or a report.
    plan_epoch: int = -1
    plan: int = -1
    step: int = -1


class WhoIsThere(Message, frozen=True):
    """Asks everybody to send a heartbeat now."""

    asker: str
