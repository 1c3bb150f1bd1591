"""Integrity check of the scheduler's state. Slow: for tests, and for the `check` command."""

from collections import Counter

from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.kv_cache.radix_node import RadixNode
from xylem.services.scheduler.core.scheduler import SchedulerCore
from xylem.shared.protocol.columns import ITEM_BYTES


class IntegrityError(Exception):
    """The scheduler's state contradicts itself; the message names the contradiction."""


def _must(holds: bool, fault: object) -> None:
    if not holds:
        raise IntegrityError(fault)


def check_integrity(core: SchedulerCore) -> dict[str, dict[str, int]]:
    """Returns counts of pages and requests by executor. Raises IntegrityError."""
    _check_requests(core)
    return {name: _check_executor(executor_state) for name, executor_state in core.executors.items()}


def _check_requests(core: SchedulerCore) -> None:
    requests = core.request_table.requests
    waiting = list(core.queue)
    _must(len({request.id for request in waiting}) == len(waiting) == len(core.queue), "a request waits twice")
    _must([r.arrival for r in waiting] == sorted(r.arrival for r in waiting), "the queue is out of order")
    running = {s.id: s for each in core.executors.values() for s in [*each.running.values(), *each.retracting.values()]}
    for request in requests.values():
        sequence = request.sequence
        _must(request.queued is (sequence is None), f"{request.id} is in two states, or in none")
        _must(sequence is None or running.get(sequence.id) is sequence, f"{request.id} runs nowhere")
    _must(all(requests.get(request.id) is request for request in waiting), "a forgotten request waits")
    _must(all(requests.get(s.request.id) is s.request for s in running.values()), "a forgotten request runs")


def _check_executor(executor_state: ExecutorState) -> dict[str, int]:
    name, allocator, tree = executor_state.executor_id, executor_state.page_allocator, executor_state.radix_tree
    nodes = tree.nodes()
    free = allocator.free_pages()
    running = list(executor_state.running.values())
    cached = [page for node in nodes for page in node.pages]
    held = [page for sequence in running for page in sequence.own_pages]
    count = Counter(free + cached + held)
    _must(sorted(count) == list(range(allocator.num_pages)), f"{name}: pages are missing")
    _must(max(count.values()) == 1, f"{name}: pages are in two places: {count.most_common(3)}")
    _must(len(cached) == tree.num_pages, "the tree miscounts its pages")
    evictable = sum(len(node.pages) for node in nodes if not node.locks)
    _must(evictable == tree.num_evictable, "the tree miscounts what it may evict")
    locks: Counter[int] = Counter()
    for sequence in running:
        _check_sequence(executor_state, sequence.id)
        at: RadixNode | None = sequence.node
        while at is not None:
            locks[id(at)] += 1
            at = at.parent
    for node in nodes:
        _check_node(executor_state, node)
        _must(node.locks == locks[id(node)], f"a node has {node.locks} locks of {locks[id(node)]} sequences")
    pending = sum(s.num_prefill_tokens - s.length for s in running if s.is_prefilling)
    _must(executor_state.num_pending_prefill_tokens == pending, "pending prefill tokens are miscounted")
    inflight = executor_state.inflight_prefixes.values()
    _must(all(s.is_prefilling for s in inflight), "a prefix is in flight that no sequence prefills")
    held_pages = sum(len(sequence.page_table) - sequence.num_matched for sequence in running)
    _must(executor_state.forecast.num_held_pages == held_pages, "the forecast counts other pages than sequences have")
    by_tenant = Counter(s.request.params.tenant for s in running)
    _must(executor_state.running_by_tenant == by_tenant, "a tenant's sequences are miscounted")
    counts = {"running": len(running), "leaving": len(executor_state.retracting), "total": allocator.num_pages}
    return counts | {"free": len(free), "cached": len(cached), "evictable": evictable, "held": len(held)}


def _check_sequence(executor_state: ExecutorState, sequence_id: int) -> None:
    sequence = executor_state.running[sequence_id]
    _must(sequence.node.end == sequence.num_inserted, f"{sequence_id} is locked elsewhere than it is inserted")
    covered = len(sequence.page_table) * executor_state.page_size
    _must(covered >= sequence.num_prefill_tokens, f"{sequence_id} has no pages for its prompt")
    _must(covered >= sequence.length, f"{sequence_id} wrote beyond its pages")
    path, own = sequence.node.path, set(sequence.duplicates)
    for shared, page in zip(path, sequence.page_table, strict=False):
        _must(page == shared or page in own, f"{sequence_id} reads page {page} that is neither its own nor the tree's")
    tokens = sequence.tokens[: len(path) * executor_state.page_size * ITEM_BYTES]
    _must(executor_state.radix_tree.prefix(sequence.node) == tokens, f"{sequence_id} shares pages of other tokens")


def _check_node(executor_state: ExecutorState, node: RadixNode) -> None:
    width = executor_state.page_size * ITEM_BYTES
    _must(len(node.tokens) == len(node.pages) * width, "a node's tokens and pages differ")
    _must(bool(node.pages) == (node.parent is not None), "an empty node, or a root with pages")
    _must(node.parent is not None or node.locks > 0 or bool(node.children), "an empty root is left")
    _must(node.keys == sorted(node.children), "the children are out of order")
    for key, child in node.children.items():
        _must(key == child.tokens[:width] and child.parent is node, "a child is filed wrongly")
        _must(child.start == node.end and child.salt == node.salt, "a child is at the wrong depth")
        _must(child.locks <= node.locks, "a locked child under an unlocked node")
    leaf = not node.children and not node.locks and node.parent is not None
    _must(not leaf or node.queued, "a leaf that can't be evicted")
