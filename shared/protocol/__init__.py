"""Defines all messages of the bus as msgspec structs.

A message is `array_like`, tagged and frozen; fields are only ever appended, with defaults, so that two versions of the
system can run side by side (tests keep golden bytes). Whatever is per sequence or per token travels in packed
columns of little-endian int32 (`columns`), never as lists of structs.
"""

from xylem.shared.protocol.base import Message, decode, encode
from xylem.shared.protocol.cache import CacheEvents
from xylem.shared.protocol.control import Control, ControlReply, Detokenize, Detokenized, Tokenize, TokenizeReply
from xylem.shared.protocol.embedding import Embedded
from xylem.shared.protocol.generation_params import (
    GenerationParams,
    Grammar,
    LogprobParams,
    SamplingParams,
    StopConditions,
)
from xylem.shared.protocol.plan import Admit, PageCopy, Plan
from xylem.shared.protocol.presence import PROTOCOL_VERSION, Capacity, Presence, WhoIsThere
from xylem.shared.protocol.request import Abort, Accepted, Ack, Generate, Refused, Tokenized
from xylem.shared.protocol.response import ResponseCall, ResponseReply
from xylem.shared.protocol.status import Adopt, RequestStatus, Started, StatusQuery, StatusReply
from xylem.shared.protocol.steps import FinishReason, Logprobs, SequenceStart, StepReport, TokenDeltas
from xylem.shared.protocol.text import Resume, Resumed, TextDeltas, TokenLogprobs

__all__ = [
    "PROTOCOL_VERSION",
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
    "FinishReason",
    "Generate",
    "GenerationParams",
    "Grammar",
    "LogprobParams",
    "Logprobs",
    "Message",
    "PageCopy",
    "Plan",
    "Presence",
    "Refused",
    "RequestStatus",
    "ResponseCall",
    "ResponseReply",
    "Resume",
    "Resumed",
    "SamplingParams",
    "SequenceStart",
    "Started",
    "StatusQuery",
    "StatusReply",
    "StepReport",
    "StopConditions",
    "TextDeltas",
    "TokenDeltas",
    "TokenLogprobs",
    "Tokenize",
    "TokenizeReply",
    "Tokenized",
    "WhoIsThere",
    "decode",
    "encode",
]
