"""Everything that crosses the bus, as msgspec structs.

A message is `array_like`, tagged and frozen; fields are only ever appended, with defaults, so that two versions of the
system can run side by side (tests/shared/test_messages.py keeps golden bytes). Whatever is per sequence or per token
travels in columns of packed little-endian int32 (`shared.columns`), never as lists of structs.
"""

from shared.messages.base import Message, decode, encode
from shared.messages.cache import CacheEvents
from shared.messages.control import Control, ControlReply, Detokenize, Detokenized, Tokenize, TokenizeReply
from shared.messages.embedding import Embedded
from shared.messages.plan import Admit, PageCopy, Plan
from shared.messages.presence import Capacity, Presence, WhoIsThere
from shared.messages.request import (
    Abort,
    Accepted,
    Ack,
    Generate,
    Grammar,
    Limits,
    Refused,
    Sampling,
    Scoring,
    Tokenized,
)
from shared.messages.response import ResponseCall, ResponseReply
from shared.messages.standing import Adopt, Inquire, Standing, Started, State
from shared.messages.steps import Finish, Opening, Scores, StepReport, TokenDeltas
from shared.messages.text import Resume, Resumed, ScoredTokens, TextDeltas

__all__ = [
    "Abort",
    "Accepted",
    "Ack",
    "Admit",
    "Adopt",
    "CacheEvents",
    "Capacity",
    "Control",
    "ControlReply",
    "Detokenize",
    "Detokenized",
    "Embedded",
    "Finish",
    "Generate",
    "Grammar",
    "Inquire",
    "Limits",
    "Message",
    "Opening",
    "PageCopy",
    "Plan",
    "Presence",
    "Refused",
    "ResponseCall",
    "ResponseReply",
    "Resume",
    "Resumed",
    "Sampling",
    "ScoredTokens",
    "Scores",
    "Scoring",
    "Standing",
    "Started",
    "State",
    "StepReport",
    "TextDeltas",
    "TokenDeltas",
    "Tokenize",
    "TokenizeReply",
    "Tokenized",
    "WhoIsThere",
    "decode",
    "encode",
]
