"""Events that the scheduler's core takes in, and actions that it returns."""

import math
from dataclasses import dataclass

from xylem.shared.protocol import Accepted, CacheEvents, Capacity, Plan, Refused, Started, StepReport, Tokenized


@dataclass(frozen=True, slots=True)
class Submit:
    """A request has come. deadline_s: by the clock of `SchedulerCore.step`; trace: passed on to the executor."""

    request: Tokenized
    deadline_s: float = math.inf
    trace: str = ""


@dataclass(frozen=True, slots=True)
class AbortRequest:
    """Attempt `attempt` of the request is aborted, and earlier ones with it."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Report:
    """An executor has reported a step."""

    report: StepReport


@dataclass(frozen=True, slots=True)
class ExecutorJoined:
    """An executor is there. With another epoch than before, it has forgotten everything."""

    executor: str
    epoch: int
    capacity: Capacity
    accepting: bool = True  # False while it drains: it finishes what it runs


@dataclass(frozen=True, slots=True)
class ExecutorLeft:
    """An executor is gone, and with it all that it ran."""

    executor: str


@dataclass(frozen=True, slots=True)
class ExecutorLost:
    """Messages to or from the executor may be lost: it must restart. executor: None means all of them."""

    executor: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutorHeartbeat:
    """An executor has sent a heartbeat. plan: the last one that reached it; step: the last one that it reported."""

    executor: str
    epoch: int
    plan_epoch: int
    plan: int
    step: int


@dataclass(frozen=True, slots=True)
class GatewayLeft:
    """A gateway is gone: its requests end after a grace period unless another gateway adopts them."""

    gateway: str


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """Another gateway is the owner of the request from now on."""

    request_id: str
    attempt: int
    gateway: str


@dataclass(frozen=True, slots=True)
class StandDown:
    """Another scheduler takes over the executors: everything that runs here ends."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Every cached prefix that no sequence uses is to be evicted."""


@dataclass(frozen=True, slots=True)
class Drain:
    """No more requests are to be accepted."""


Event = (
    Submit
    | AbortRequest
    | Report
    | ExecutorJoined
    | ExecutorLeft
    | ExecutorLost
    | ExecutorHeartbeat
    | GatewayLeft
    | AdoptRequest
    | StandDown
    | Flush
    | Drain
)


@dataclass(frozen=True, slots=True)
class SendPlan:
    """The plan is to be sent to the executor."""

    executor: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Accept:
    """The gateway is to be told that its request waits here."""

    gateway: str
    message: Accepted


@dataclass(frozen=True, slots=True)
class Refuse:
    """The gateway is to be told that its request has ended with an error."""

    gateway: str
    message: Refused


@dataclass(frozen=True, slots=True)
class Start:
    """A request was admitted to an executor, for the first time or again after a retraction."""

    gateway: str
    message: Started
    num_prompt_tokens: int
    num_cached_tokens: int


@dataclass(frozen=True, slots=True)
class RequestForgotten:
    """A waiting request was aborted, or replaced by a later attempt. No message is sent."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class AbortOrphan:
    """A request ended because its gateway is gone: detokenizers are to drop it too."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class PublishCacheEvents:
    """The cache events are to be published for routers. No router listens yet."""

    message: CacheEvents


Action = SendPlan | Accept | Refuse | Start | RequestForgotten | AbortOrphan | PublishCacheEvents
