"""This module collects the output of each choice, for an answer that is given in one."""

from xylem.services.gateway.generation.generation_request import GenerationRequest
from xylem.services.gateway.generation.logprobs import LogprobToken
from xylem.services.gateway.generation.output_queue import OutputDelta
from xylem.services.gateway.output_parsers.deltas import ParsedOutput
from xylem.shared.protocol import FinishReason


class ChoiceOutput:
    """All pieces of one choice, put together."""

    def __init__(self) -> None:
        self.said = ParsedOutput()
        self.finish = FinishReason.NONE
        self.matched: str | None = None
        self.token_ids = b""  # column
        self.scored: list[LogprobToken] = []
        self.prompt_scored: list[LogprobToken] = []
        self.vector = b""  # column of float32
        self.num_prompt_tokens = 0
        self.num_cached_tokens = 0

    def add_output(self, piece: OutputDelta) -> None:
        for delta in (*piece.deltas, *piece.last_deltas):
            self.said.add_delta(delta)
        self.finish, self.matched = piece.finish, piece.matched
        self.token_ids += piece.token_ids
        self.scored += piece.scored + piece.last_scored
        self.prompt_scored += piece.prompt_scored
        self.vector += piece.vector
        self.num_prompt_tokens, self.num_cached_tokens = piece.num_prompt_tokens, piece.num_cached_tokens

    @property
    def likelihood(self) -> float:
        """Log probability per token, by which the best of several is chosen."""
        known = [token.logprob for token in self.scored if token.logprob is not None]
        return sum(known) / len(known) if known else 0.0


def best(results: list[ChoiceOutput], request: GenerationRequest) -> list[ChoiceOutput]:
    """Returns each prompt's choices to be shown, the likeliest first where that is fewer than there are."""
    if not request.num_shown:
        return results
    size = len(results) // len(request.prompts)
    groups = [results[first : first + size] for first in range(0, len(results), size)]
    ranked = [sorted(group, key=lambda result: -result.likelihood)[: request.num_shown] for group in groups]
    return [result for group in ranked for result in group]
