"""What the core is told, and what it wants done."""

import math
from dataclasses import dataclass

from xylem.shared.protocol import Accepted, CacheEvents, Capacity, Plan, Refused, Started, StepReport, Tokenized


@dataclass(frozen=True, slots=True)
class Submit:
    """A request. `deadline_s` is its deadline in the core's clock; `trace` goes on to the executor."""

    request: Tokenized
    deadline_s: float = math.inf
    trace: str = ""


@dataclass(frozen=True, slots=True)
class AbortRequest:
    """Nobody wants attempt `attempt` of the request any more, nor earlier ones."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Report:
    report: StepReport


@dataclass(frozen=True, slots=True)
class ExecutorJoined:
    """An executor is there; with another epoch than before, it has forgotten everything."""

    executor: str
    epoch: int
    capacity: Capacity
    accepting: bool = True  # False while it drains: it finishes what it runs


@dataclass(frozen=True, slots=True)
class ExecutorLeft:
    executor: str


@dataclass(frozen=True, slots=True)
class ExecutorLost:
    """Messages to or from the executor may be missing: begin anew with it. None means all executors."""

    executor: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """An executor's heartbeat: the last plan that reached it, and the last step that it told."""

    executor: str
    epoch: int
    plan_epoch: int
    plan: int
    step: int


@dataclass(frozen=True, slots=True)
class GatewayLeft:
    """Nobody reads what its requests produce, unless another gateway adopts them."""

    gateway: str


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    request_id: str
    attempt: int
    gateway: str


@dataclass(frozen=True, slots=True)
class StandDown:
    """Another scheduler has the executors from now on: nothing of ours runs any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Forget every cached prefix that no sequence uses."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no more requests."""


Event = (
    Submit
    | AbortRequest
    | Report
    | ExecutorJoined
    | ExecutorLeft
    | ExecutorLost
    | Heard
    | GatewayLeft
    | AdoptRequest
    | StandDown
    | Flush
    | Drain
)


@dataclass(frozen=True, slots=True)
class SendPlan:
    executor: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Accept:
    gateway: str
    message: Accepted


@dataclass(frozen=True, slots=True)
class Refuse:
    gateway: str
    message: Refused


@dataclass(frozen=True, slots=True)
class Start:
    """A request is in the plan of an executor (for the first time, or again after a retraction)."""

    gateway: str
    message: Started
    num_prompt_tokens: int
    num_cached_tokens: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A request that waited is gone without a word: aborted, or replaced by a later attempt."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Orphaned:
    """A request is gone because its gateway is: detokenizers may forget it too."""

    request_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class TellCache:
    message: CacheEvents


Action = SendPlan | Accept | Refuse | Start | Forgotten | Orphaned | TellCache
