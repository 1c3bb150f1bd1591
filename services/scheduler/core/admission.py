"""Who comes in, and where: one round of admission within a step."""

from collections import Counter

from xylem.services.scheduler.core.executor_state import ExecutorState
from xylem.services.scheduler.core.kv_cache.radix_node import PrefixMatch, common_prefix
from xylem.services.scheduler.core.request import Request, Sequence
from xylem.shared.protocol import Admit, PageCopy, SequenceStart
from xylem.shared.protocol.columns import ITEM_BYTES, pack

# Token budgets (steps) of unread prompt that an executor may have: enough to be busy until the next plan arrives,
# little enough that the order of the queue still means something.
UNREAD_STEPS = 4
# A running sequence slows an executor down about as much as so many tokens of prompt waiting there.
RUNNING_COST = 16
CONTEXT_TOKENS = 8
# After so many requests for which an executor has no memory, a round asks it no more: each try costs time.
MAX_FAILED = 8
# An admit takes so many bytes beside its columns and strings.
ADMIT_BYTES = 1024


def has_room(books: ExecutorState, max_plan_bytes: int) -> bool:
    """Whether an executor can take any request now."""
    capacity = books.capacity
    return (
        books.accepting
        and len(books.running) < capacity.max_running
        and books.num_unread < UNREAD_STEPS * capacity.token_budget
        and books.draft.num_bytes < max_plan_bytes
    )


def max_new_tokens(request: Request, books: ExecutorState) -> int:
    """Tokens that the request may still draw: by its own limit, and by what the whole pool can hold.

    The last token drawn needs no KV. Below 1 the prompt itself does not fit.
    """
    room = books.pages.num_pages * books.page_size - request.num_tokens + 1
    max_tokens = request.message.limits.max_tokens
    return room if max_tokens < 0 else min(room, max_tokens - request.num_outputs)


def admit_bytes(request: Request, page_size: int) -> int:
    """About how much the request takes in a plan; rather too much than too little."""
    message = request.message
    tokens = request.num_tokens * (1 + 1 / page_size) + request.num_outputs
    limits, sampling = message.limits, message.sampling
    strings = sum(len(text) * 4 for text in (*limits.stop, *limits.stop_regex)) + len(limits.stop_token_ids)
    strings += len(sampling.bias_ids) + len(sampling.bias_values)
    if message.grammar is not None:
        strings += len(message.grammar.text.encode())
    if sampling.repetition_penalty != 1.0:
        tokens += request.num_prompt
    return ADMIT_BYTES + strings + int(tokens) * ITEM_BYTES


class Round:
    """One round: what is measured in it stays good for it, since admitting adds nothing to a tree."""

    def __init__(self, executors: list[ExecutorState], max_plan_bytes: int, now: float) -> None:
        self._executors = executors
        self._max_plan_bytes = max_plan_bytes
        self._now = now
        self.rooms = [books for books in executors if has_room(books, max_plan_bytes)]
        self._failed: Counter[str] = Counter()
        self._matches: dict[tuple[str, str], PrefixMatch] = {}

    def num_cached(self, request: Request) -> int:
        """The longest cached prefix of the request on any executor that has room."""
        return max((self._match(request, books).num_tokens for books in self.rooms), default=0)

    def admit(self, request: Request, sequence_id: int) -> Sequence | None:
        """Admits the request where it costs least. None when it has to wait: for memory, or for a prefix being read."""
        for _, _, books, reader in self._places(request):
            if reader is not None:
                request.waits_for = reader
                return None
            size = admit_bytes(request, books.page_size)
            if books.draft.num_bytes and books.draft.num_bytes + size > self._max_plan_bytes:
                continue
            sequence = self._begin(request, books, sequence_id, size)
            if sequence is not None:
                if not has_room(books, self._max_plan_bytes):
                    self.rooms.remove(books)
                return sequence
            self._failed[books.executor] += 1
            if self._failed[books.executor] == MAX_FAILED:
                self.rooms.remove(books)
        return None

    def close(self, request: Request) -> None:
        """An aged request could not come in: nobody younger goes before it where it could run."""
        self.rooms = [books for books in self.rooms if max_new_tokens(request, books) < 1]

    def _places(self, request: Request) -> list[tuple[int, str, ExecutorState, tuple[Sequence, int] | None]]:
        """The executors that could run the request, cheapest first, each with whoever reads its prefix there now."""
        max_tokens = request.message.limits.max_tokens - request.num_outputs
        whole = [books for books in self._executors if books.accepting and max_new_tokens(request, books) >= max_tokens]
        found = []
        for books in self.rooms:
            # One that could not let it run to its limit takes it only if all are as small.
            if max_new_tokens(request, books) < 1 or (whole and books not in whole):
                continue
            match = self._match(request, books)
            reader = _reader(request, books, match)
            known = match.num_tokens if reader is None else reader[1] * books.page_size
            cost = request.num_tokens - known + books.num_unread + RUNNING_COST * len(books.running)
            found.append((cost, books.executor, books, reader))
        return sorted(found, key=lambda place: place[:2])

    def _match(self, request: Request, books: ExecutorState) -> PrefixMatch:
        key = (request.id, books.executor)
        match = self._matches.get(key)
        if match is None:
            match = self._matches[key] = _match(request, books)
        return match

    def _begin(self, request: Request, books: ExecutorState, sequence_id: int, size: int) -> Sequence | None:
        taken = _take_pages(request, books, sequence_id, self._now)
        if taken is None:
            return None
        sequence, copy = taken
        request.sequence = sequence
        books.begin(sequence)
        books.draft.admit(_admit(sequence, books, copy), size)
        return sequence


def _match(request: Request, books: ExecutorState) -> PrefixMatch:
    # The last token is read in any case, since its logits draw the next one. It may be the last of a page that is
    # cached: then that page is a partial match, copied, so that nobody writes into a page of the tree.
    return books.tree.match(request.tokens, request.max_cached, request.message.salt)


def _reader(request: Request, books: ExecutorState, match: PrefixMatch) -> tuple[Sequence, int] | None:
    """Who reads the page now that this request would read first, and how many pages the two share."""
    size, width = books.page_size, books.page_size * ITEM_BYTES
    at = match.num_pages
    gain = min((at + 1) * size, request.max_cached)
    if (at + 1) * size > request.num_tokens or match.num_tokens >= gain:
        return None
    reader = books.reading.get((request.message.salt, at, request.tokens[at * width : (at + 1) * width]))
    if reader is None:
        return None
    limit = min(len(request.tokens), reader.to_read * ITEM_BYTES)
    shared = common_prefix(request.tokens, 0, reader.tokens, 0, limit) // width
    return (reader, shared) if shared > at else None


def _take_pages(
    request: Request, books: ExecutorState, sequence_id: int, now: float
) -> tuple[Sequence, PageCopy | None] | None:
    """Locks what is cached, and allocates the rest of the prompt and the first grant, if there is memory for it."""
    num_tokens, new_tokens = request.num_tokens, max_new_tokens(request, books)
    limit = num_tokens + new_tokens - 1
    match = _match(request, books)
    node = books.tree.lock(match, now)
    total = books.pages_for(min(num_tokens + books.ahead_tokens, limit))
    need = total - match.num_pages
    final = books.pages_for(min(num_tokens + books.forecast.expected_tokens(new_tokens, 0), limit))
    copied = match.partial_node
    if not books.fits(need, max(0, final - total)):
        books.tree.unlock(node, now)
        return None
    if copied is not None:  # must not be evicted before it is copied
        books.tree.retain(copied, now)
    secured = books.secure(need)
    if copied is not None:
        books.tree.unlock(copied, now)
        if not secured:
            copied, secured = None, books.secure(need)
    if not secured:
        books.tree.unlock(node, now)
        return None
    num_cached = match.num_tokens if copied is not None else match.num_pages * books.page_size
    table = node.path + books.pages.allocate(need)
    sequence = Sequence(
        id=sequence_id,
        request=request,
        executor=books.executor,
        tokens=bytearray(request.tokens),
        to_read=num_tokens,
        length=num_cached,
        limit=limit,
        table=table,
        node=node,
        num_matched=match.num_pages,
        num_inserted=match.num_pages,
        num_told=match.num_pages,
    )
    copy = None
    if copied is not None:
        copy = PageCopy(source=match.partial_page, target=table[match.num_pages], num_tokens=match.partial_tokens)
    return sequence, copy


def _admit(sequence: Sequence, books: ExecutorState, copy: PageCopy | None) -> Admit:
    request, message = sequence.request, sequence.request.message
    limits = message.limits
    if request.num_cached < 0:
        request.num_cached = min(sequence.length, request.num_prompt)
    prompt_bytes = request.num_prompt * ITEM_BYTES
    opening = SequenceStart(
        request_id=message.request_id,
        attempt=message.attempt,
        gateway=message.gateway,
        scheduler=books.scheduler,
        num_prompt_tokens=request.num_prompt,
        num_cached_tokens=request.num_cached,
        context_ids=message.prompt_ids[-CONTEXT_TOKENS * ITEM_BYTES :],
        output_ids=request.tokens[prompt_bytes:],
        stop=limits.stop,
        trace=request.trace,
        resumable=message.resumable,
        min_tokens=limits.min_tokens,
        stop_regex=limits.stop_regex,
        keep_stop=limits.keep_stop,
        keep_special=limits.keep_special,
        asked_ids=b"" if message.scoring is None else message.scoring.token_ids,
    )
    return Admit(
        sequence_id=sequence.id,
        token_ids=request.tokens[sequence.length * ITEM_BYTES :],
        num_cached=sequence.length,
        pages=pack(sequence.table),
        max_new_tokens=sequence.limit + 1 - sequence.to_read,
        offset=request.num_outputs,
        detokenizer=message.detokenizer,
        opening=opening,
        sampling=message.sampling,
        ignore_eos=limits.ignore_eos,
        stop_token_ids=limits.stop_token_ids,
        copy=copy,
        trace=request.trace,
        min_tokens=limits.min_tokens,
        grammar=message.grammar,
        scoring=request.scoring,
        pooling=message.pooling,
        seen_ids=request.seen_ids(),
    )
