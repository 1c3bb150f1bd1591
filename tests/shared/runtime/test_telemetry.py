import subprocess
import sys

from tests.otlp_collector import collecting
from xylem.shared.runtime import telemetry


def test_off_is_inert_and_loads_nothing() -> None:
    code = "import sys; from xylem.shared.runtime import telemetry as t; s = t.span('a'); s.set(x=1); s.end()"
    code += "; assert s.trace == ''"
    code += "; assert t.record('b', '', 1, 2) == ''; print(any(m.startswith('opentelemetry') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_spans_are_exported_with_their_parents() -> None:
    with collecting() as collector:
        telemetry.start("router", "r-0", collector.endpoint)
        try:
            root = telemetry.span("request", model="demo")
            child = telemetry.span("route", root.trace)
            grandchild = telemetry.record("queue", child.trace, 1_000, 2_000, tokens=3)
            child.end()
            root.set(status=200)
            root.end()
            root.end()
        finally:
            telemetry.stop()
        spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"request", "route", "queue"}
    assert len(collector.spans) == 3
    assert spans["route"].parent_id == spans["request"].span_id
    assert spans["queue"].parent_id == spans["route"].span_id
    assert grandchild.split("-")[1] == spans["request"].trace_id
    assert len({span.trace_id for span in collector.spans}) == 1
    assert (spans["queue"].start_ns, spans["queue"].end_ns, spans["queue"].attributes) == (1_000, 2_000, {"tokens": 3})
    assert spans["request"].attributes == {"model": "demo", "status": 200}
    assert spans["request"].service == "xylem-router"


def test_a_malformed_parent_makes_a_root() -> None:
    with collecting() as collector:
        telemetry.start("router", "r-0", collector.endpoint)
        try:
            for parent in (
                "nonsense",
                "00-xyz-1-01",
                "00-" + "g" * 32 + "-" + "1" * 16 + "-01",
                "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
            ):
                telemetry.span("root", parent).end()
        finally:
            telemetry.stop()
        assert [span.parent_id for span in collector.spans] == [""] * 4
