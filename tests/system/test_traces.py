"""One trace per request over all six services, its edges as the table says."""

from pathlib import Path

from tests.otlp_collector import collecting
from tests.serving import serving
from tests.system.asking import one_by_one

# span -> (service, parent)
SPANS = {
    "request": ("xylem-gateway", None),
    "tokenize": ("xylem-tokenizer", "request"),
    "route": ("xylem-router", "tokenize"),
    "queue": ("xylem-scheduler", "route"),
    "prefill": ("xylem-executor", "queue"),
    "decode": ("xylem-executor", "queue"),
    "detokenize": ("xylem-detokenizer", "queue"),
}


async def test_the_spans_of_a_request_and_their_parents(tmp_path: Path) -> None:
    with collecting() as collector:
        with serving(tmp_path, "--otlp-endpoint", collector.endpoint) as served:
            answers = await one_by_one(served.url, ["What is 3 plus 4?", "Count from 3 to 9."])
        # The services have drained: what they had is exported.
        spans = collector.spans
    traces = {span.trace_id for span in spans if span.name == "request"}
    assert len(traces) == 2
    for trace_id, answer in zip(
        sorted(traces, key=lambda t: min(s.start_ns for s in spans if s.trace_id == t)), answers, strict=True
    ):
        by_name = {span.name: span for span in spans if span.trace_id == trace_id}
        assert set(by_name) == set(SPANS)
        for name, (service, parent) in SPANS.items():
            span = by_name[name]
            assert span.service == service
            assert span.parent_id == (by_name[parent].span_id if parent else ""), f"{name} hangs elsewhere"
            assert span.start_ns <= span.end_ns
        assert by_name["request"].attributes["completion_tokens"] == answer.completion_tokens
        assert by_name["request"].attributes["ttft_s"] > 0
        assert by_name["queue"].end_ns <= by_name["decode"].end_ns
