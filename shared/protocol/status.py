"""Where a request stands in a scheduler: said when it begins to run, and on the question of its gateway."""

from enum import IntEnum

from xylem.shared.protocol.base import Message
from xylem.shared.protocol.bounds import Count, Serial


class RequestStatus(IntEnum):
    """A request in a scheduler's books, as it travels in a column."""

    UNKNOWN = 0  # never heard of, or ended
    WAITING = 1
    RUNNING = 2


class Started(Message, frozen=True, tag="Started"):
    """An executor has the request in its plan: for the first time, or again after a retraction."""

    request_id: str
    attempt: Count
    scheduler: str
    executor: str
    executor_epoch: Serial


class StatusQuery(Message, frozen=True, tag="StatusQuery"):
    """A gateway has had no news of these attempts for a while."""

    request_ids: tuple[str, ...]
    attempts: bytes  # column


class StatusReply(Message, frozen=True, tag="StatusReply"):
    """The answer, in the order of the question."""

    states: bytes  # column of State
    lengths: bytes  # column: tokens whose KV is there, which shows progress; 0 unless it runs


class Adopt(Message, frozen=True, tag="Adopt"):
    """A gateway continues a request of another one, that may be dead."""

    request_id: str
    attempt: Count
    gateway: str
