"""The logits processor of a sequence: penalties, logit bias, min_tokens and its grammar."""

import numpy as np

from xylem.kernels.interface import LogitsAdjustment
from xylem.kernels.token_counts import TokenCounts
from xylem.services.executor.structured_output import CompiledGrammar, GrammarFailed, Matcher
from xylem.shared.protocol import Admit
from xylem.shared.protocol.columns import unpack, unpack_floats


def needs_logits_processor(admit: Admit) -> bool:
    """Whether any token of the sequence is sampled with a LogitsProcessor. Raises ValueError for a broken column."""
    params = admit.start.params
    sampling, min_tokens = params.sampling, params.stop_conditions.min_tokens
    penalised = sampling.repetition_penalty != 1.0 or sampling.frequency_penalty or sampling.presence_penalty
    num_outputs = len(unpack(admit.start.output_ids))
    return bool(penalised or sampling.bias_ids or params.grammar or min_tokens > num_outputs)


class LogitsProcessor:
    """Adjusts one sequence's logits by the request's tokens alone, so that another attempt samples the same.

    end_ids stop the sequence; eos_token_ids, a part of them, may only come when its grammar is complete.

    matcher: of the grammar, from `begin_matching` on.
    """

    def __init__(
        self,
        admit: Admit,
        *,
        end_ids: frozenset[int],
        eos_token_ids: frozenset[int],
    ) -> None:
        """Raises ValueError for a broken column."""
        params = admit.start.params
        sampling = self._sampling = params.sampling
        earlier_ids = self._earlier_ids = unpack(admit.start.output_ids)
        self._bias_ids = np.array(unpack(sampling.bias_ids), np.int64)
        self._bias_values = np.array(unpack_floats(sampling.bias_values), np.float32)
        repeats = sampling.repetition_penalty != 1.0
        self._seen = TokenCounts([*unpack(admit.seen_ids), *earlier_ids]) if repeats else None
        counts = sampling.frequency_penalty or sampling.presence_penalty
        self._output = TokenCounts(earlier_ids) if counts else None
        self._eos_token_ids = eos_token_ids
        self._forbidden = np.array(sorted(end_ids), np.int64)
        # Tokens before one that may end it.
        self._num_to_end = max(0, params.stop_conditions.min_tokens - len(earlier_ids))
        self._grammar = params.grammar
        self._context_ids = unpack(admit.start.context_ids)
        self.matcher: Matcher | None = None

    def begin_matching(self, compiled: CompiledGrammar) -> None:
        """Makes the matcher of the compiled grammar. Raises GrammarFailed."""
        assert self._grammar is not None
        try:
            self.matcher = Matcher(
                compiled,
                self._grammar,
                end_ids=self._eos_token_ids,
                output_ids=self._earlier_ids,
                context_ids=self._context_ids,
            )
        except ValueError as error:
            raise GrammarFailed(f"the output so far can't be gone on from: {error}", code="internal_error") from None

    def adjustment(self) -> LogitsAdjustment | None:
        """For the next token. Its arrays are views, good until the next `accept_token`."""
        if self._seen is None and self._output is None and not len(self._bias_ids) and not self._num_to_end:
            return None
        adjustment = LogitsAdjustment(bias_ids=self._bias_ids, bias_values=self._bias_values)
        if self._seen is not None:
            adjustment.repetition, adjustment.seen_ids = self._sampling.repetition_penalty, self._seen.ids
        if self._output is not None:
            adjustment.frequency, adjustment.presence = (
                self._sampling.frequency_penalty,
                self._sampling.presence_penalty,
            )
            adjustment.output_ids, adjustment.output_counts = self._output.ids, self._output.counts
        if self._num_to_end:
            adjustment.forbidden_ids = self._forbidden
        return adjustment

    def accept_token(self, token_id: int) -> None:
        """Takes the next output token. Raises GrammarFailed for one that the grammar does not allow."""
        if self._seen is not None:
            self._seen.add_token(token_id)
        if self._output is not None:
            self._output.add_token(token_id)
        if self._num_to_end:
            self._num_to_end -= 1
        if self.matcher is not None:
            if not self.matcher.accept(token_id):
                raise GrammarFailed(
                    f"token {token_id} was drawn, which the grammar does not allow", code="internal_error"
                )
        elif self._grammar is not None:  # no gate has waited for it
            raise GrammarFailed("this executor compiles no grammars", param=self._grammar.param)

    @property
    def is_finished(self) -> bool:
        """Whether its grammar lets nothing follow, and the model has no token to end with."""
        return self.matcher is not None and self.matcher.is_finished

    def find_forced_tokens(self, limit: int) -> list[int]:
        """Returns the tokens that must follow now, whatever the model says: at most so many tokens."""
        return [] if self.matcher is None else self.matcher.find_forced_tokens(limit)
