"""Times the masks of a fresh grammar: slow ones would stall every sequence of its executor.

xgrammar resolves most tokens when it compiles; those that cross the end of a rule are tried at each step. Counted
repetitions of such rules in a client's EBNF can make a single mask take seconds.
"""

import random
import time

import numpy as np
import torch
import xgrammar

from xylem.services.executor.structured_output.failures import GrammarFailed

STEPS = 24
MAX_MASK_S = 0.15  # of one mask; those of ordinary schemas take 0.2 ms
ROUNDS = 3  # of each mask: other processes can only lengthen one


def check_mask_time(grammar: xgrammar.CompiledGrammar, kind: str) -> None:
    """Raises GrammarFailed when a mask takes too long."""
    draw = random.Random(0)
    matcher = xgrammar.GrammarMatcher(grammar)
    mask = xgrammar.allocate_token_bitmask(1, grammar.tokenizer_info.vocab_size)
    for _ in range(STEPS):
        if all(_slow(matcher, mask) for _ in range(ROUNDS)):
            raise GrammarFailed(f"the {kind} takes too long at every token; smaller counted repetitions may help")
        bits = np.unpackbits(mask[0].numpy().view(np.uint8), bitorder="little")
        ids = np.flatnonzero(bits)
        if not len(ids) or not matcher.accept_token(int(draw.choice(ids))) or matcher.is_terminated():
            return


def _slow(matcher: xgrammar.GrammarMatcher, mask: torch.Tensor) -> bool:
    began_s = time.perf_counter()
    mask.fill_(-1)
    matcher.fill_next_token_bitmask(mask, 0)
    return time.perf_counter() - began_s > MAX_MASK_S
