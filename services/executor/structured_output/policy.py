"""The policy of compiling grammars."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GrammarPolicy:
    """Says what compiling may take. memory_bytes: of each process, beyond a fresh one.

    Every grammar first has quick_s. One that needs more is begun again where only such ones wait, with timeout_s: so
    quick ones wait for quick ones only.
    """

    timeout_s: float = 30.0
    quick_s: float = 1.0
    num_processes: int = 2
    memory_bytes: int = 1 << 30
    cache_bytes: int = 256 << 20
