"""The readiness gate of a model without a head: only embeddings pass."""

from xylem.services.executor.engine.gate import Gate
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.failures import SequenceFailed
from xylem.shared.protocol import Admit


class _Closed:
    """Is done at once, and opens for nobody."""

    allows_prefill = False

    def done(self) -> bool:
        return True

    def open(self, sequence: SequenceState) -> None:
        raise SequenceFailed("the model was saved without a head (lm_head): it gives embeddings, but no tokens")


def head_gates(admit: Admit, sequence: SequenceState) -> Gate | None:
    """Returns a gate that refuses a sequence unless it only wants its prompt's state."""
    return None if admit.start.params.pooling else _Closed()
