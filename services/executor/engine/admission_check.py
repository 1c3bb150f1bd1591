"""Checks what a request brings to the executor: every number that becomes the index of something."""

from collections.abc import Sequence

import msgspec

from xylem.shared.protocol import Admit, GenerationParams
from xylem.shared.protocol.columns import count, unpack


def check_request(admit: Admit, vocab_size: int) -> None:
    """Raises ValueError for token ids that the model does not have, and for columns that don't belong together.

    Gateway and tokenizer have refused such a request in words for the client; here nothing is left to chance.
    """
    params = admit.start.params
    sampling, logprobs = params.sampling, params.logprobs
    columns = [admit.token_ids, admit.start.output_ids, admit.seen_ids, sampling.bias_ids]
    if logprobs is not None:
        columns.append(logprobs.token_ids)
    for column in columns:
        check_range("token id", unpack(column), vocab_size)
    if count(sampling.bias_ids) != count(sampling.bias_values):
        raise ValueError("there are not as many biases as biased tokens")


def check_range(what: str, values: Sequence[int], limit: int) -> None:
    """Raises ValueError unless all values are in [0, limit)."""
    if values and not 0 <= min(values) <= max(values) < limit:
        raise ValueError(f"a {what} outside [0, {limit})")


def without_params(admit: Admit) -> Admit:
    """Returns the admit of a request that asks for nothing, and has its place in the books of both sides."""
    start = msgspec.structs.replace(admit.start, params=GenerationParams(), output_ids=b"")
    return msgspec.structs.replace(admit, start=start, seen_ids=b"")
