"""The readiness gate of a model without a head: only embeddings pass."""

from xylem.services.executor.engine.gate import ClosedGate, Gate
from xylem.services.executor.engine.sequence_state import SequenceState
from xylem.services.executor.failures import SequenceFailed
from xylem.shared.protocol import Admit


def head_gates(admit: Admit, sequence: SequenceState) -> Gate | None:
    """Returns a gate that refuses a sequence unless it only wants its prompt's state."""
    if admit.start.params.pooling:
        return None
    return ClosedGate(
        SequenceFailed("the model was saved without a head (lm_head): it gives embeddings, but no tokens")
    )
