"""A world around the scheduler's core: executors that lag behind, the clients, and what each of them must see.

The executor keeps to the contract: plans are applied in order between two steps (drops, then admits with their page
copies, then grants), drops are silent, every report names the last plan applied. Its KV pool stores at every slot a
hash of all tokens up to there. It draws tokens from what it finds THROUGH THE PAGE TABLE, and checks that: a shared
page that somebody wrote to, a page handed out twice or a wrong match is found at the step that would use it.
"""

import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from xylem.services.scheduler.core import SchedulerCore, SchedulerPolicy, check_integrity
from xylem.services.scheduler.core import events as e
from xylem.shared.protocol import (
    Admit,
    Capacity,
    FinishReason,
    GenerationParams,
    Plan,
    StepReport,
    StopConditions,
    Tokenized,
)
from xylem.shared.protocol.columns import pack, unpack

VOCABULARY = 50
END = 0
WRECK = -1


def chain(before: int, token: int) -> int:
    """The content of a slot: a hash of all tokens up to and with `token`."""
    return hash((before, token)) & 0xFFFFFFFF


def limited(max_tokens: int, **more: Any) -> GenerationParams:
    return GenerationParams(stop_conditions=StopConditions(max_tokens=max_tokens), **more)


def root(salt: str) -> int:
    """The content before the first token."""
    return zlib.crc32(salt.encode())


def draw(content: int) -> int:
    """The token that follows a prefix; about every 25th one ends the sequence."""
    return content // 7 % VOCABULARY if content % 25 else END


def expected_output(prompt: list[int], salt: str, max_tokens: int) -> list[int]:
    """What a request gives, alone and undisturbed."""
    content = root(salt)
    for token in prompt:
        content = chain(content, token)
    output: list[int] = []
    while len(output) < max_tokens:
        output.append(draw(content))
        if output[-1] == END:
            break
        content = chain(content, output[-1])
    return output


@dataclass
class Running:
    """A sequence as the executor knows it: it never sees the ids of cached tokens."""

    admit: Admit
    salt: str
    table: list[int]
    length: int
    unread: deque[int]
    drawn: int = 0
    next_token: int | None = None


class SimulatedExecutor:
    def __init__(self, world: "World", name: str, capacity: Capacity) -> None:
        self.world, self.name, self.capacity = world, name, capacity
        self.epoch = 100
        self.computed: list[tuple[str, int]] = []  # (request, tokens) of every chunk read
        self.begin_anew()

    def begin_anew(self) -> None:
        self.epoch += 1
        self.kv = [[WRECK] * self.capacity.page_size for _ in range(self.capacity.num_pages)]
        self.running: dict[int, Running] = {}
        self.seen: set[int] = set()
        self.plans: deque[Plan] = deque()  # on their way here
        self.reports: deque[StepReport] = deque()  # on their way to the scheduler
        self.plan_epoch, self.plan, self.num_steps = -1, -1, 0

    def slot(self, sequence: Running, position: int) -> tuple[int, int]:
        size = self.capacity.page_size
        return sequence.table[position // size], position % size

    def content(self, sequence: Running, position: int) -> int:
        if position < 0:
            return root(sequence.salt)
        page, at = self.slot(sequence, position)
        return self.kv[page][at]

    def apply(self, plan: Plan) -> None:
        if plan.executor_epoch != self.epoch:
            return
        if plan.number == 0:
            self.running, self.seen = {}, set()
        else:
            assert (plan.epoch, plan.number) == (self.plan_epoch, self.plan + 1), "a gap in the plans"
        self.plan_epoch, self.plan = plan.epoch, plan.number
        for sequence_id in unpack(plan.drops):
            self.running.pop(sequence_id, None)
        for admit in plan.admits:
            self.admit(admit)
        at = 0
        pages = unpack(plan.grant_pages)
        for sequence_id, count in zip(unpack(plan.grant_ids), unpack(plan.grant_counts), strict=True):
            if sequence_id in self.running:
                self.running[sequence_id].table.extend(pages[at : at + count])
            at += count
        assert at == len(pages)

    def admit(self, admit: Admit) -> None:
        assert admit.sequence_id not in self.seen, "a sequence id was used twice"
        assert admit.token_ids, "nothing to read"
        self.seen.add(admit.sequence_id)
        assert len(self.running) < self.capacity.max_running
        if admit.copy is not None:
            source, target, count = self.kv[admit.copy.source], self.kv[admit.copy.target], admit.copy.num_tokens
            target[:] = source[:count] + [WRECK] * (len(target) - count)
        request = self.world.clients[admit.start.request_id]
        sequence = Running(admit, request.salt, list(unpack(admit.pages)), admit.num_cached, deque())
        sequence.unread.extend(unpack(admit.token_ids))
        self.running[admit.sequence_id] = sequence
        tokens = request.prompt + list(unpack(admit.start.output_ids))
        assert tokens[admit.num_cached :] == list(sequence.unread), "wrong tokens to read"
        assert admit.offset == len(unpack(admit.start.output_ids))
        self.check(sequence, tokens[: admit.num_cached])

    def check(self, sequence: Running, tokens: list[int]) -> None:
        """Every cached token is really there."""
        content = self.content(sequence, -1)
        for position, token in enumerate(tokens):
            content = chain(content, token)
            assert self.content(sequence, position) == content, f"position {position} holds something else"

    def write(self, sequence: Running, token: int) -> None:
        page, at = self.slot(sequence, sequence.length)
        self.kv[page][at] = chain(self.content(sequence, sequence.length - 1), token)
        sequence.length += 1

    def room(self, sequence: Running) -> int:
        return len(sequence.table) * self.capacity.page_size - sequence.length

    def step(self, num_plans: int) -> None:
        """Applies plans, then computes one step with what is granted."""
        applied = min(num_plans, len(self.plans))
        for _ in range(applied):
            self.apply(self.plans.popleft())
        rows: list[tuple[int, int, list[int], int]] = []
        budget = self.capacity.token_budget
        for sequence_id, sequence in list(self.running.items()):
            if sequence.next_token is not None and self.room(sequence) and budget:
                budget -= 1
                self.write(sequence, sequence.next_token)
                rows.append(self.drawn(sequence_id, sequence))
        for sequence_id, sequence in list(self.running.items()):
            count = min(budget, len(sequence.unread), self.room(sequence))
            if count:
                budget -= count
                for _ in range(count):
                    self.write(sequence, sequence.unread.popleft())
                self.computed.append((sequence.admit.start.request_id, count))
                last = self.drawn(sequence_id, sequence) if not sequence.unread else None
                rows.append(last or (sequence_id, sequence.length, [], FinishReason.NONE))
        if rows or applied:
            self.report(rows)

    def drawn(self, sequence_id: int, sequence: Running) -> tuple[int, int, list[int], int]:
        token = draw(self.content(sequence, sequence.length - 1))
        admit = sequence.admit
        sequence.drawn += 1
        sequence.next_token = token
        finish = FinishReason.NONE
        if token == END:
            finish = FinishReason.STOP
        elif sequence.drawn == admit.max_new_tokens:
            finish = FinishReason.LENGTH
        self.world.clients[admit.start.request_id].receive(admit, sequence.drawn - 1, token, finish)
        length = sequence.length
        if finish:
            client = self.world.clients[admit.start.request_id]
            if client.attempt == admit.start.attempt and "abort" not in client.ends:
                self.check(sequence, (client.prompt + client.output)[:length])
            del self.running[sequence_id]
            if self.room(sequence):  # it ran one step ahead: that token is thrown away, but its KV was written
                self.write(sequence, token + 1)
        return sequence_id, length, [token], finish

    def report(self, rows: list[tuple[int, int, list[int], int]]) -> None:
        self.reports.append(
            StepReport(
                executor=self.name,
                epoch=self.epoch,
                plan_epoch=self.plan_epoch,
                plan=self.plan,
                step=self.num_steps,
                sequence_ids=pack(row[0] for row in rows),
                lengths=pack(row[1] for row in rows),
                counts=pack(len(row[2]) for row in rows),
                token_ids=pack(token for row in rows for token in row[2]),
                finishes=pack(row[3] for row in rows),
            )
        )
        self.num_steps += 1


@dataclass
class Client:
    """A request as its gateway sees it."""

    id: str
    prompt: list[int]
    salt: str
    max_tokens: int
    priority: int = 0
    attempt: int = 0
    output: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    num_accepted: int = 0

    def receive(self, admit: Admit, index: int, token: int, finish: int) -> None:
        if admit.start.attempt != self.attempt or "abort" in self.ends:
            return
        offset = admit.offset + index
        assert not self.ends, "a token after the end"
        assert offset <= len(self.output), "a gap in the output"
        if offset == len(self.output):
            self.output.append(token)
        assert self.output[offset] == token, "the same position gave two tokens"
        if finish:
            self.ends.append(FinishReason(finish).name)

    def tokenized(self) -> Tokenized:
        return Tokenized(
            request_id=self.id,
            attempt=self.attempt,
            gateway="gw",
            detokenizer="d",
            prompt_ids=pack(self.prompt),
            output_ids=pack(self.output),
            params=limited(self.max_tokens, cache_salt=self.salt, priority=self.priority),
        )


class World:
    """Core, executors and clients; checks the core's integrity after every step."""

    def __init__(self, core: SchedulerCore | None = None) -> None:
        self.core = core or SchedulerCore("s", SchedulerPolicy(grant_ahead_tokens=8), plan_epoch=7)
        self.executors: dict[str, SimulatedExecutor] = {}
        self.clients: dict[str, Client] = {}
        self.now = 0.0
        self.started: list[e.Start] = []
        self.retractions = 0
        self.copies = 0
        self.resubmit = True

    def add_executor(self, name: str = "e", **capacity: int) -> SimulatedExecutor:
        defaults: dict[str, Any] = {"num_pages": 16, "page_size": 4, "max_running": 8, "token_budget": 16}
        executor = SimulatedExecutor(self, name, Capacity(**(defaults | capacity)))
        self.executors[name] = executor
        self.feed(e.ExecutorJoined(name, executor.epoch, executor.capacity))
        return executor

    def submit(self, client: Client, *, deadline_s: float = float("inf")) -> Client:
        self.clients[client.id] = client
        self.feed(e.Submit(client.tokenized(), deadline_s))
        return client

    def abort(self, client: Client) -> None:
        if not client.ends:
            client.ends.append("abort")
        self.feed(e.AbortRequest(client.id, client.attempt))

    def feed(self, *events: e.Event) -> None:
        """One step of the core, and what comes of it."""
        again: list[e.Event] = []
        for action in self.core.step(events, self.now):
            match action:
                case e.SendPlan():
                    self.executors[action.executor].plans.append(action.plan)
                    executor_state = self.core.executors[action.executor]
                    self.retractions += sum(
                        s.dropped_by_plan == action.plan.number for s in executor_state.retracting.values()
                    )
                    self.copies += sum(admit.copy is not None for admit in action.plan.admits)
                case e.Accept():
                    client = self.clients[action.message.request_id]
                    client.num_accepted += action.message.attempt == client.attempt
                case e.Refuse():
                    again += self.refused(action)
                case e.Start():
                    self.started.append(action)
                case _:
                    pass
        check_integrity(self.core)
        if again:
            self.feed(*again)

    def refused(self, action: e.Refuse) -> list[e.Event]:
        client = self.clients[action.message.request_id]
        assert action.message.attempt == client.attempt
        if "abort" in client.ends or (client.ends and action.message.code == "unavailable"):
            return []  # it had ended, and the report of that was lost
        assert not client.ends, "refused after the end"
        if action.message.code == "unavailable" and self.resubmit and self.core.executors:
            client.attempt += 1
            client.num_accepted = 0
            return [e.Submit(client.tokenized())]
        client.ends.append(action.message.code)
        return []

    def deliver(self, executor: SimulatedExecutor, count: int = 1000) -> None:
        """Hands the oldest reports of an executor to the core."""
        events = [e.Report(executor.reports.popleft()) for _ in range(min(count, len(executor.reports)))]
        if events:
            self.feed(*events)

    def lose_report(self, executor: SimulatedExecutor) -> None:
        """The next report shows the gap; without one, the bus says that something was lost."""
        if executor.reports:
            executor.reports.popleft()
            if not executor.reports:
                self.feed(e.ExecutorLost(executor.name))

    def restart_executor(self, executor: SimulatedExecutor, *, silent: bool = False) -> None:
        """The executor dies and comes back; silent: its new epoch is seen before its death is."""
        executor.begin_anew()
        if not silent:
            self.feed(e.ExecutorLeft(executor.name))
        self.feed(e.ExecutorJoined(executor.name, executor.epoch, executor.capacity))

    def turn(self, seconds: float = 0.1) -> None:
        """Everything moves on by one step without any lag."""
        self.now += seconds
        for executor in self.executors.values():
            executor.step(1000)
            self.deliver(executor)

    def run(self, max_turns: int = 3000) -> int:
        """Until all requests have ended. Returns the number of turns; too many mean that something hangs."""
        for turns in range(max_turns):
            if self.core.idle and not any(executor.plans for executor in self.executors.values()):
                return turns
            self.turn()
        raise AssertionError(f"requests hang: {[client for client in self.clients.values() if not client.ends]}")

    def check_end(self) -> None:
        """Every request has ended once and as it should; nothing is left behind."""
        for client in self.clients.values():
            assert len(client.ends) == 1, client
            expected = expected_output(client.prompt, client.salt, client.max_tokens)
            assert client.output == expected[: len(client.output)], client
            if client.ends[0] == "STOP":
                assert client.output == expected, client
            elif client.ends[0] == "LENGTH":
                whole = len(client.output) == client.max_tokens
                rooms = [x.capacity.num_pages * x.capacity.page_size for x in self.executors.values()]
                assert whole or len(client.prompt) + len(client.output) - 1 in rooms, client
        counts = check_integrity(self.core)
        for executor in counts.values():
            assert executor["running"] == executor["leaving"] == executor["held"] == 0
            assert executor["free"] + executor["evictable"] == executor["total"]
        self.feed(e.Flush())
        for executor in check_integrity(self.core).values():
            assert executor["free"] == executor["total"]
        assert all(not executor_state.radix_tree.roots for executor_state in self.core.executors.values())
