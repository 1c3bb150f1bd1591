"""The numbers by which the router decides."""

from dataclasses import dataclass

from xylem.shared.protocol.load_cost import RUNNING_COST_TOKENS


@dataclass(frozen=True, slots=True)
class RouterPolicy:
    """Policy of one router, built once from its settings. Costs are in prompt tokens to prefill."""

    routing_policy: str = "prefix"  # row of `routing_policy.ROUTING_POLICIES`
    # A prefix is remembered by blocks of block_tokens, and no deeper than max_blocks of them.
    block_tokens: int = 64
    max_blocks: int = 128
    max_remembered_blocks: int = 1 << 16
    running_cost_tokens: int = RUNNING_COST_TOKENS
    waiting_cost_tokens: int = 128  # a request that waits has yet to be prefilled
