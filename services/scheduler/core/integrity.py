"""Proof that the books add up. Slow: for tests, and for the `check` command."""

from collections import Counter

from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.kv_cache.radix_node import RadixNode
from xylem.services.scheduler.core.scheduler import SchedulerCore


class IntegrityError(Exception):
    """The books contradict themselves."""


def _must(holds: bool, what: object) -> None:
    if not holds:
        raise IntegrityError(what)


def check_integrity(core: SchedulerCore) -> dict[str, dict[str, int]]:
    """Counts of pages and requests by executor. Raises IntegrityError."""
    _check_requests(core)
    return {name: _check_books(books) for name, books in core.executors.items()}


def _check_requests(core: SchedulerCore) -> None:
    requests = core.intake.requests
    waiting = list(core.queue)
    _must(len({request.id for request in waiting}) == len(waiting) == len(core.queue), "a request waits twice")
    _must([r.arrival for r in waiting] == sorted(r.arrival for r in waiting), "the queue is out of order")
    running = {s.id: s for books in core.executors.values() for s in [*books.running.values(), *books.leaving.values()]}
    for request in requests.values():
        sequence = request.sequence
        _must(request.queued is (sequence is None), f"{request.id} is in two states, or in none")
        _must(sequence is None or running.get(sequence.id) is sequence, f"{request.id} runs nowhere")
    _must(all(requests.get(request.id) is request for request in waiting), "a forgotten request waits")
    _must(all(requests.get(s.request.id) is s.request for s in running.values()), "a forgotten request runs")


def _check_books(books: ExecutorState) -> dict[str, int]:
    nodes = books.tree.nodes()
    free = books.pages.free_pages()
    cached = [page for node in nodes for page in node.pages]
    held = [page for sequence in books.running.values() for page in sequence.own_pages]
    count = Counter(free + cached + held)
    _must(sorted(count) == list(range(books.pages.num_pages)), f"{books.executor}: pages are missing")
    _must(max(count.values()) == 1, f"{books.executor}: pages are in two places: {count.most_common(3)}")
    _must(len(cached) == books.tree.num_pages, "the tree miscounts its pages")
    evictable = sum(len(node.pages) for node in nodes if not node.locks)
    _must(evictable == books.tree.num_evictable, "the tree miscounts what it may evict")
    locks: Counter[int] = Counter()
    for sequence in books.running.values():
        _check_sequence(books, sequence.id)
        at: RadixNode | None = sequence.node
        while at is not None:
            locks[id(at)] += 1
            at = at.parent
    for node in nodes:
        _check_node(books, node)
        _must(node.locks == locks[id(node)], f"a node has {node.locks} locks of {locks[id(node)]} sequences")
    readers = [sequence for sequence in books.running.values() if sequence.reading]
    _must(books.num_unread == sum(s.to_read - s.length for s in readers), "unread tokens are miscounted")
    _must(all(s.reading for s in books.reading.values()), "somebody is said to read who does not")
    running = list(books.running.values())
    noted = sum(len(sequence.table) - sequence.num_matched for sequence in running)
    _must(books.forecast.num_held == noted, "the forecast counts other pages than sequences have")
    _must(books.tenants == Counter(s.request.message.tenant for s in running), "a tenant's sequences are miscounted")
    counts = {"running": len(books.running), "leaving": len(books.leaving), "total": books.pages.num_pages}
    return counts | {"free": len(free), "cached": len(cached), "evictable": evictable, "held": len(held)}


def _check_sequence(books: ExecutorState, sequence_id: int) -> None:
    sequence = books.running[sequence_id]
    _must(sequence.node.end == sequence.num_inserted, f"{sequence_id} is locked elsewhere than it is inserted")
    _must(len(sequence.table) * books.page_size >= sequence.to_read, f"{sequence_id} has no pages for its prompt")
    _must(sequence.length <= len(sequence.table) * books.page_size, f"{sequence_id} wrote beyond its pages")
    path, own = sequence.node.path, set(sequence.duplicates)
    for shared, page in zip(path, sequence.table, strict=False):
        _must(page == shared or page in own, f"{sequence_id} reads page {page} that is neither its own nor the tree's")
    _must(books.tree.prefix(sequence.node) == sequence.tokens[: len(path) * books.page_size * 4], "other tokens")


def _check_node(books: ExecutorState, node: RadixNode) -> None:
    width = books.page_size * 4
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
