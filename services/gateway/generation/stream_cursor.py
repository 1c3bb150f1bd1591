"""A cursor says how far a client has read a stream: the `id:` of its events, which comes back as `Last-Event-ID`.

chatcmpl-4f.r1@1763690000~1b2c!12,-,40.
│          │  │          │    └ by choice: characters told; '.' with its finish, '-' when nothing was told
│          │  │          └ the seed of the first choice, when the client gave none
│          │  └ created
│          └ how often it had to be generated anew
└ the id of the answer
"""

import re
import time
import uuid
from dataclasses import dataclass, field

from xylem.shared.runtime.errors import InvalidRequest

HEADER = "last-event-id"
MAX_LENGTH = 1 << 14

_FORM = re.compile(
    r"([a-z]+-[0-9a-f]{32})(?:\.r(\d{1,6}))?@(\d{1,12})~([0-9a-f]{1,16})!((?:-|\d{1,9}\.?)(?:,(?:-|\d{1,9}\.?))*)"
)
_PLACE = re.compile(r"(\d+)(\.?)")


@dataclass(slots=True)
class ChoiceCursor:
    """Says how far one choice has been sent."""

    begun: bool = False
    num_chars: int = 0
    finished: bool = False

    def __str__(self) -> str:
        return f"{self.num_chars}{'.' if self.finished else ''}" if self.begun else "-"


@dataclass(slots=True)
class StreamCursor:
    """The state of a stream after an event. Written once per event: `str` of it is kept short."""

    answer_id: str
    created: int
    seed: int
    choice_cursors: list[ChoiceCursor]
    generation: int = 0
    tenant: str = ""
    _head: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._head = f"{self._name}@{self.created}~{self.seed:x}!"

    @classmethod
    def of_new(cls, prefix: str, *, seed: int, num_choices: int, tenant: str) -> "StreamCursor":
        """Returns the cursor of an answer that begins now. seed: the first choice's."""
        choice_cursors = [ChoiceCursor() for _ in range(num_choices)]
        return cls(f"{prefix}-{uuid.uuid4().hex}", int(time.time()), seed, choice_cursors, tenant=tenant)

    @property
    def _name(self) -> str:
        return f"{self.answer_id}.r{self.generation}" if self.generation else self.answer_id

    @property
    def request_id(self) -> str:
        """Returns the pipeline's name of it: another name each time that it is generated anew.

        With the tenant in it, which the client can't choose: somebody else's answer is not to be had by its id.
        """
        return f"{self._name}.{self.tenant}" if self.tenant else self._name

    def begin_anew(self) -> None:
        """Nothing is left of it: the same is generated once more, under another name."""
        self.generation += 1
        self.__post_init__()

    def __str__(self) -> str:
        return self._head + ",".join(map(str, self.choice_cursors))

    @classmethod
    def parse(cls, text: str, num_choices: int, prefix: str, tenant: str = "") -> "StreamCursor":
        """Raises InvalidRequest when it is not one of a stream like this."""
        form = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
        if form is None or not form[1].startswith(f"{prefix}-"):
            raise InvalidRequest("Last-Event-ID is none that this endpoint has given out", param="Last-Event-ID")
        choice_cursors = [_place(part) for part in form[5].split(",")]
        if len(choice_cursors) != num_choices:
            raise InvalidRequest(
                f"Last-Event-ID is of a stream with {len(choice_cursors)} choices, the request has {num_choices}",
                param="Last-Event-ID",
            )
        return cls(form[1], int(form[3]), int(form[4], 16), choice_cursors, int(form[2] or 0), tenant)


def _place(text: str) -> ChoiceCursor:
    found = _PLACE.fullmatch(text)
    return ChoiceCursor(begun=True, num_chars=int(found[1]), finished=bool(found[2])) if found else ChoiceCursor()
