"""The live side of xylem.shared.runtime.telemetry: the only module that loads OpenTelemetry."""

import logging

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation import set_span_in_context

from xylem.shared.runtime.telemetry import Attribute, Span

log = logging.getLogger(__name__)

_provider: TracerProvider | None = None


def start(service: str, instance: str, endpoint: str) -> None:
    """Begins to export to `endpoint` in the background; an unreachable collector never holds up a request."""
    global _provider
    resource = Resource.create({"service.name": f"xylem-{service}", "service.instance.id": instance})
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
    _provider = TracerProvider(resource=resource)
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))


def stop() -> None:
    """Flushes and ends the export."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def _parent(traceparent: str) -> SpanContext | None:
    """W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header; None when it is malformed."""
    parts = traceparent.split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    try:
        flags = TraceFlags(int(parts[3], 16))
        context = SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=flags)
    except ValueError:
        return None
    return context if context.is_valid else None


class LiveSpan(Span):
    """A span of the current provider."""

    def __init__(self, name: str, parent: str, start_ns: int | None, attributes: dict[str, Attribute]) -> None:
        assert _provider is not None
        remote = _parent(parent)
        context = set_span_in_context(trace.NonRecordingSpan(remote)) if remote else None
        tracer = _provider.get_tracer("xylem")
        self._span = tracer.start_span(name, context=context, start_time=start_ns, attributes=attributes)
        ids = self._span.get_span_context()
        self.trace = f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{int(ids.trace_flags):02x}"

    def set(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)

    def event(self, name: str) -> None:
        self._span.add_event(name)

    def error(self, message: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, message))

    def end(self, end_ns: int | None = None) -> None:
        if self._span.is_recording():
            self._span.end(end_ns)
