"""One sequence that runs: what the executor keeps of it between two steps.

    tokens   [ cached | prompt_ids ............ | drawn ... last_token ]
    position 0        num_cached      prompt_len
    KV       [ computed ............ length )
    pages    [ granted ......................... room )

A sequence is reading while length < prompt_len. From the first drawn token on exactly one token, last_token, is known
and not computed, so that `length` alone says where the sequence stands.
"""

from array import array
from dataclasses import dataclass

from services.executor.runner import Row
from shared.columns import unpack
from shared.messages import Admit, Finish, Opening, Sampling


@dataclass(slots=True)
class Running:
    """State of one sequence. offset: index of its first drawn token among the request's output tokens."""

    sequence_id: int
    prompt_ids: "array[int]"  # the tokens at [num_cached, prompt_len)
    num_cached: int
    prompt_len: int
    length: int
    pages: "array[int]"
    sampling: Sampling
    end_ids: frozenset[int]
    max_new_tokens: int
    offset: int
    detokenizer: str
    opening: Opening
    num_new: int = 0
    last_token: int = -1

    @classmethod
    def begin(cls, admit: Admit, eos_token_ids: frozenset[int]) -> "Running":
        """The sequence of an admit, before its first step. Raises ValueError for a broken column."""
        prompt_ids = unpack(admit.token_ids)
        stop_ids = frozenset(unpack(admit.stop_token_ids))
        return cls(
            sequence_id=admit.sequence_id,
            prompt_ids=prompt_ids,
            num_cached=admit.num_cached,
            prompt_len=admit.num_cached + len(prompt_ids),
            length=admit.num_cached,
            pages=unpack(admit.pages),
            sampling=admit.sampling,
            end_ids=stop_ids if admit.ignore_eos else stop_ids | eos_token_ids,
            max_new_tokens=admit.max_new_tokens,
            offset=admit.offset,
            detokenizer=admit.detokenizer,
            opening=admit.opening,
        )

    @property
    def is_reading(self) -> bool:
        """Whether prompt tokens are left to read."""
        return self.length < self.prompt_len

    def room(self, page_size: int) -> int:
        """Tokens that the granted pages still take."""
        return len(self.pages) * page_size - self.length

    def row(self, num_tokens: int) -> Row:
        """The next num_tokens known tokens as a row of a step."""
        if self.is_reading:
            first = self.length - self.num_cached
            token_ids = self.prompt_ids[first : first + num_tokens]
            return Row(token_ids, self.length, self.pages, self.length + num_tokens == self.prompt_len, self.sampling)
        return Row((self.last_token,), self.length, self.pages, True, self.sampling)

    def accept(self, token_id: int) -> Finish:
        """Takes the token that was drawn after all known ones; says whether it is the last."""
        self.last_token = token_id
        self.num_new += 1
        if token_id in self.end_ids:
            return Finish.STOP
        return Finish.LENGTH if self.num_new >= self.max_new_tokens else Finish.NONE
