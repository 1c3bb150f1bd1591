"""Who may say what to a gateway, and what a message must not contradict: the subject that it came on.

NATS lets each kind of service publish on its own subjects only (`runtime/permissions.py`). Receivers check the rest
here: that what came on the subject of a kind is something that this kind says, and in the name of nobody else.
"""

from typing import Any

from xylem.shared.protocol import subjects
from xylem.shared.protocol.base import Message
from xylem.shared.protocol.cache import CacheEvents
from xylem.shared.protocol.embedding import Embedded
from xylem.shared.protocol.presence import Presence
from xylem.shared.protocol.request import Accepted, Refused
from xylem.shared.protocol.status import Started
from xylem.shared.protocol.steps import StepReport
from xylem.shared.protocol.text import TextDeltas

SAID_TO_GATEWAYS: dict[str, Any] = {
    "tokenizer": Refused,
    "router": Refused,
    "scheduler": Accepted | Started | Refused,
    "executor": Embedded | Refused,
    "detokenizer": TextDeltas | Refused,
}


def agrees_with_subject(subject: str, message: Message) -> bool:
    """Whether a message that names its sender names the one whose subject this is."""
    if isinstance(message, Presence):
        return subject == subjects.presence(message.kind, message.id)
    if isinstance(message, StepReport):
        return subject.split(".")[2:] == ["exec", message.executor, "steps"]
    if isinstance(message, CacheEvents):
        return subject.split(".")[2:] == ["cache", message.scheduler]
    return True
