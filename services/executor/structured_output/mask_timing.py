"""Times the masks of a fresh grammar: slow ones would stall every sequence of its executor.

xgrammar resolves most tokens when it compiles; those that cross the end of a rule are tried at each step. Counted
repetitions of such rules in a client's EBNF can make a single mask take seconds. llguidance makes states as it meets
them, within limits that fail the grammar.
"""

import random
import time

import numpy as np

from xylem.services.executor.structured_output.failures import GrammarFailed
from xylem.services.executor.structured_output.grammar_state import Automaton, GrammarState

STEPS = 24
MAX_MASK_S = 0.15  # of one mask; those of ordinary schemas take 0.05 ms
ROUNDS = 3  # of each mask: other processes can only lengthen one


def check_mask_time(grammar: Automaton, kind: str) -> None:
    """Raises GrammarFailed when a mask takes too long, or can't be made."""
    draw = random.Random(0)
    state = grammar.begin(frozenset())
    for _ in range(STEPS):
        if all(_slow(state) for _ in range(ROUNDS)):
            raise GrammarFailed(f"the {kind} takes too long at every token; smaller counted repetitions may help")
        bits = np.unpackbits(state.mask().view(np.uint8), bitorder="little")
        ids = np.flatnonzero(bits)
        if not len(ids) or not state.accept(int(draw.choice(ids))) or state.is_terminated:
            return


def _slow(state: GrammarState) -> bool:
    began_s = time.perf_counter()
    state.mask()
    return time.perf_counter() - began_s > MAX_MASK_S
