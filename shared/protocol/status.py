"""Reports the status of a request in its scheduler: when it begins to run, and when its gateway asks."""

from enum import IntEnum

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count, Serial


class RequestStatus(IntEnum):
    """Status of a request in a scheduler, as it travels in a column."""

    UNKNOWN = 0  # never heard of, or ended
    WAITING = 1
    RUNNING = 2


class Started(Message, frozen=True, tag="Started"):
    """Says that an executor has the request in its plan: for the first time, or again after a retraction."""

    request_id: str
    attempt: Count
    scheduler: str
    executor: str
    executor_epoch: Serial


class StatusQuery(Message, frozen=True, tag="StatusQuery"):
    """Asks for the status of attempts that a gateway has had no news of."""

    request_ids: tuple[str, ...]
    attempts: bytes  # column


class StatusReply(Message, frozen=True, tag="StatusReply"):
    """Answers in the order of the question."""

    states: bytes  # column of RequestStatus
    lengths: bytes  # column: tokens whose KV is there, which shows progress; 0 unless it runs


class Adopt(Message, frozen=True, tag="Adopt"):
    """Says that a gateway continues a request of another one, which may be dead."""

    request_id: str
    attempt: Count
    gateway: str
