"""The numbers by which the scheduler's core decides."""

from dataclasses import dataclass

from xylem.shared.protocol.load_cost import RUNNING_COST_TOKENS


@dataclass(frozen=True, slots=True)
class SchedulerPolicy:
    """Policy of one scheduler, built once from its settings and handed to everything in the core."""

    # Admission
    queue_policy: str = "prefix"  # row of `queue_policy.QUEUE_POLICIES`
    max_waiting: int = 2048  # more requests are refused with 429
    max_retry_s: float = 30.0  # longest Retry-After of such a refusal
    ageing_s: float = 30.0  # a request that waited this long goes before any younger one
    # With several tenants waiting a request ages in this time at most: tenants take turns among the aged ones.
    tenant_ageing_s: float = 2.0
    # A step looks at no more requests than this: the order among thousands would cost more than it gains, and a
    # request that is not looked at ages to the front.
    max_examined: int = 64
    max_scanned: int = 512
    # Token budgets (steps) of admitted prompt that an executor may have to prefill: enough to be busy until the next
    # plan arrives, little enough that the order of the queue still means something.
    max_pending_prefill_steps: int = 4
    running_cost_tokens: int = RUNNING_COST_TOKENS
    # After this many requests for which an executor has no memory, a round asks it no more: each try costs time.
    max_failed_admissions: int = 8
    max_plan_bytes: int = 1 << 20  # admits of one plan
    # A request during which executors have died runs alone among its like, until it has so many new tokens.
    probation_tokens: int = 4
    probation_patience_s: float = 30.0  # for an executor that runs nothing; then it goes to the least loaded one
    gateway_grace_s: float = 10.0  # how long a request lives on when its gateway has died

    # Memory
    prefix_cache: bool = True
    grant_ahead_tokens: int = 64  # how far ahead of need pages are granted
    # When memory is short, a page is granted only to a sequence with fewer tokens left than this (or than a page).
    short_grant_tokens: int = 8
    # An eviction takes at least this part (1/n) of the pool, so that a full cache is not cut page by page.
    eviction_divisor: int = 64
    length_learning_rate: float = 0.05  # weight of one ended sequence in the share of max_tokens that is expected
    # Routers choose by the first tokens of a prompt; deeper pages are not published, which bounds cache events.
    max_published_tokens: int = 4096

    # A plan or report that has not arrived after this time is lost.
    loss_timeout_s: float = 1.0
