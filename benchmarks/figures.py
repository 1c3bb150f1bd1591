"""What the records of a run add up to."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.record import Record


@dataclass(frozen=True)
class Spread:
    """A distribution, in milliseconds."""

    p50: float
    p90: float
    p99: float
    mean: float


@dataclass(frozen=True)
class Goals:
    """Milliseconds to the first token, and between tokens (mean of a request), that a request must keep to count."""

    ttft_ms: float = math.inf
    itl_ms: float = math.inf

    def kept(self, record: Record) -> bool:
        return record.ttft_s * 1e3 <= self.ttft_ms and record.per_token_s * 1e3 <= self.itl_ms


@dataclass(frozen=True)
class Figures:
    """One run. Rates and latencies are of completed requests only.

    requests: all that ended, errors included. ttft: to the first arrival; itl: between two arrivals, which may each
    bring several tokens; tpot: mean time of a token after the first, of each request; e2e: to the end of the stream.
    goodput: share of all requests that completed within the goals. cached_share: of the prompt tokens of requests
    whose server said how many were cached; None when none did. counted: by what tokens were counted.
    """

    requests: int
    completed: int
    errors: dict[str, int]
    wall_s: float
    requests_per_s: float
    output_tokens: int
    output_tokens_per_s: float
    prompt_tokens: int
    cached_share: float | None
    goodput: float
    counted: str
    ttft_ms: Spread | None
    itl_ms: Spread | None
    tpot_ms: Spread | None
    e2e_ms: Spread | None


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Linear between the two nearest ranks."""
    place = (len(ascending) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ascending) - 1)
    return ascending[low] + (ascending[high] - ascending[low]) * (place - low)


def spread(times_s: Sequence[float]) -> Spread | None:
    """None of nothing."""
    if not times_s:
        return None
    ascending = sorted(time_s * 1e3 for time_s in times_s)
    mean = sum(ascending) / len(ascending)
    return Spread(percentile(ascending, 50), percentile(ascending, 90), percentile(ascending, 99), mean)


def figures(records: Sequence[Record], wall_s: float, goals: Goals) -> Figures:
    """wall_s: from the start of the run to the last end."""
    good = [record for record in records if record.completed]
    reported = [record.answer for record in good if record.answer.num_cached is not None]
    num_reported = sum(answer.num_prompt or 0 for answer in reported)
    num_tokens = sum(record.num_tokens for record in good)
    by_server = sum(record.answer.num_tokens is not None for record in good)
    return Figures(
        requests=len(records),
        completed=len(good),
        errors=dict(Counter(record.answer.error for record in records if not record.completed)),
        wall_s=wall_s,
        requests_per_s=len(good) / wall_s,
        output_tokens=num_tokens,
        output_tokens_per_s=num_tokens / wall_s,
        prompt_tokens=sum(record.answer.num_prompt or 0 for record in good),
        cached_share=sum(answer.num_cached or 0 for answer in reported) / num_reported if num_reported else None,
        goodput=sum(map(goals.kept, good)) / max(1, len(records)),
        counted="usage" if by_server == len(good) else "events" if not by_server else "usage and events",
        ttft_ms=spread([record.ttft_s for record in good]),
        itl_ms=spread([gap for record in good for gap in record.gaps_s]),
        tpot_ms=spread([record.per_token_s for record in good if record.num_tokens > 1]),
        e2e_ms=spread([record.e2e_s for record in good]),
    )
