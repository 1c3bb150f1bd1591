"""Metrics are counted in plain integers on the event loop; prometheus-client only writes them down."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from xylem.shared.protocol import Presence

TTFT_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
INTER_TOKEN_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Histogram:
    """Counts between borders in seconds."""

    def __init__(self, name: str, about: str, bounds_s: tuple[float, ...]) -> None:
        self._name = name
        self._about = about
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def observe(self, value_s: float, times: int = 1) -> None:
        """Notes a duration, `times` times."""
        self._counts[bisect_left(self._bounds_s, value_s)] += times
        self._sum_s += value_s * times

    def family(self) -> Metric:
        borders = [*map(str, self._bounds_s), "+Inf"]
        family = HistogramMetricFamily(self._name, self._about)
        family.add_metric([], list(zip(borders, accumulate(self._counts), strict=True)), self._sum_s)
        return family


class Metrics(Collector):
    """All numbers of one gateway. The functions are called at each scrape."""

    def __init__(
        self,
        schedulers: Callable[[], list[Presence]],
        num_open: Callable[[], int],
        num_resubmitted: Callable[[], int],
        num_model_failures: Callable[[], int] = lambda: 0,
        store_trouble: Callable[[], str] = str,
        num_dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()  # by route and status
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.generation_tokens = 0
        self.ttft = Histogram(
            "xylem_time_to_first_token_seconds", "From the request to its first token.", TTFT_BOUNDS_S
        )
        self.inter_token = Histogram(
            "xylem_inter_token_latency_seconds", "Between two tokens of a sequence.", INTER_TOKEN_BOUNDS_S
        )
        self._schedulers = schedulers
        self._num_open = num_open
        self._num_resubmitted = num_resubmitted
        self._num_model_failures = num_model_failures
        self._store_trouble = store_trouble
        self._num_dropped = num_dropped
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("xylem_requests", "HTTP answers.", labels=["route", "status"])
        for labels, number in sorted(self.requests.items()):
            requests.add_metric(list(labels), number)
        yield requests
        yield CounterMetricFamily("xylem_prompt_tokens", "Tokens of prompts.", value=self.prompt_tokens)
        yield CounterMetricFamily("xylem_cached_tokens", "Prompt tokens found in the cache.", value=self.cached_tokens)
        yield CounterMetricFamily("xylem_generation_tokens", "Tokens generated.", value=self.generation_tokens)
        yield CounterMetricFamily(
            "xylem_resubmissions",
            "Attempts after the first, because a stage or message was lost.",
            value=self._num_resubmitted(),
        )
        yield CounterMetricFamily(
            "xylem_model_failures",
            "Sequences for which the model gave NaN or infinity.",
            value=self._num_model_failures(),
        )
        yield CounterMetricFamily(
            "xylem_dropped_messages",
            "Messages that were not believed: garbage, or in somebody else's name.",
            value=self._num_dropped(),
        )
        yield GaugeMetricFamily("xylem_open_requests", "Sequences this gateway waits for.", value=self._num_open())
        yield GaugeMetricFamily(
            "xylem_response_store_up",
            "Whether answers of /v1/responses are stored and found; 1 too where none are to be.",
            value=0 if self._store_trouble() else 1,
        )
        yield self.ttft.family()
        yield self.inter_token.family()
        yield from self._of_schedulers()

    def _of_schedulers(self) -> Iterator[Metric]:
        gauges = [
            GaugeMetricFamily(f"xylem_{name}", about, labels=["scheduler"])
            for name, about in (
                ("running_requests", "Sequences that run, as the scheduler says it."),
                ("waiting_requests", "Sequences in the scheduler's queue."),
                ("free_pages", "KV pages that nobody needs."),
                ("total_pages", "KV pages in all."),
            )
        ]
        for peer in self._schedulers():
            values = (peer.running, peer.waiting, peer.free_pages, peer.total_pages)
            for gauge, value in zip(gauges, values, strict=True):
                gauge.add_metric([peer.id], value)
        yield from gauges
