"""Traces of requests at the level of token ids: what is asked, and which answers it waits for.

Made from a seed. A call comes `wait_s` after the last of the calls that it follows has ended, as a person or a program
would send it; the clients are a closed loop, each with one thing to do at a time. The answers are fixed, so that the
prompts that quote them are.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from xylem.shared.protocol.columns import ITEM_BYTES, pack

VOCABULARY = 32_000
CLIENTS = 32


@dataclass(frozen=True, slots=True)
class Call:
    """One request. prompt, output: columns of token ids; after: indices of earlier calls of the trace."""

    prompt: bytes
    output: bytes
    after: tuple[int, ...]
    wait_s: float

    @property
    def num_prompt(self) -> int:
        return len(self.prompt) // ITEM_BYTES

    @property
    def num_output(self) -> int:
        return len(self.output) // ITEM_BYTES


Trace = list[Call]


class Writer:
    """Writes tokens and numbers of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, least: int, most: int) -> bytes:
        """Between `least` and `most` tokens, short ones more often."""
        length = round(least + (most - least) * self.random.betavariate(1.5, 3))
        return pack(self.random.choices(range(VOCABULARY), k=length))

    def pause_s(self, mean_s: float) -> float:
        return self.random.expovariate(1 / mean_s)


def shared_prefix(seed: int, *, num_calls: int = 640) -> Trace:
    """System prompts, each with several sets of examples; a question at the end. A few of the sets are asked most."""
    writer = Writer(seed)
    systems = [writer.text(200, 800) for _ in range(6)]
    prefixes = [system + writer.text(200, 1200) for system in systems for _ in range(4)]
    writer.random.shuffle(prefixes)
    weights = [1 / rank for rank in range(1, len(prefixes) + 1)]
    trace: Trace = []
    for index in range(num_calls):
        (prefix,) = writer.random.choices(prefixes, weights)
        after = (index - CLIENTS,) if index >= CLIENTS else ()
        trace.append(Call(prefix + writer.text(20, 160), writer.text(8, 96), after, writer.pause_s(1.0)))
    return trace


def multi_turn(seed: int, *, num_conversations: int = 96) -> Trace:
    """Conversations under one system prompt. Who has read an answer writes on; who is done begins another one."""
    writer = Writer(seed)
    system = writer.text(100, 300)
    trace: Trace = []
    last: dict[int, int] = {}  # the last call of each client
    for conversation in range(num_conversations):
        client = conversation % CLIENTS
        said = system
        for _ in range(writer.random.randint(3, 12)):
            said += writer.text(20, 240)
            after = (last[client],) if client in last else ()
            last[client] = len(trace)
            trace.append(Call(said, writer.text(20, 240), after, writer.pause_s(8.0)))
            said += trace[-1].output
    return trace


def tree_of_thought(seed: int, *, num_tasks: int = 32) -> Trace:
    """Problems under one set of examples. From each kept thought four go on, each is rated, the best two are kept."""
    writer = Writer(seed)
    examples = writer.text(400, 900)
    trace: Trace = []
    last: dict[int, tuple[int, ...]] = {}
    for task in range(num_tasks):
        client = task % (CLIENTS // 4)  # each asks four or eight things at once
        kept, after = [examples + writer.text(40, 160)], last.get(client, ())
        for _ in range(4):
            rated: list[tuple[int, bytes]] = []
            for state in kept:
                for _ in range(4):
                    trace.append(Call(state, writer.text(20, 160), after, 0.05))
                    thought = state + trace[-1].output
                    trace.append(Call(thought + writer.text(10, 30), writer.text(2, 6), (len(trace) - 1,), 0.0))
                    rated.append((len(trace) - 1, thought))
            after = tuple(index for index, _ in rated)
            kept = [thought for _, thought in writer.random.sample(rated, 2)]
        last[client] = after
    return trace


TRACES: dict[str, Callable[[int], Trace]] = {
    "shared-prefix": shared_prefix,
    "multi-turn": multi_turn,
    "tree-of-thought": tree_of_thought,
}
