"""Readiness gates: the reasons for which a sequence waits before its first output token."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from xylem.services.executor.failures import SequenceFailed
from xylem.shared.protocol import Admit

if TYPE_CHECKING:
    from xylem.services.executor.engine.sequence_state import SequenceState


class Gate(Protocol):
    """One reason to wait: a grammar that is being compiled, KV on its way, an adapter that loads.

    The engine asks every gate between two steps whether it is done, and opens it then. The last token of the prompt is
    computed when all gates of its sequence are open. Whoever finishes the work wakes the step loop (`StepLoop.wake`).

    allows_prefill: whether the prompt but for its last token may be computed while the sequence waits.
    """

    @property
    def allows_prefill(self) -> bool: ...

    def is_done(self) -> bool:
        """Whether the work is finished, well or not. Called in every step: must return at once."""

    def open_for(self, sequence: "SequenceState") -> None:
        """Gives the sequence what it waited for. Raises SequenceFailed, which ends this sequence alone."""


class ClosedGate:
    """Is done at once, and opens for nobody: the sequence ends before its first token, with `failure`."""

    allows_prefill = False

    def __init__(self, failure: SequenceFailed) -> None:
        self._failure = failure

    def is_done(self) -> bool:
        return True

    def open_for(self, sequence: "SequenceState") -> None:
        """Raises the failure."""
        raise self._failure


# Returns the gate that a sequence needs, or None. Called once at its admission; may begin the work.
GateFactory = Callable[[Admit, "SequenceState"], Gate | None]
