"""Traces: one span per stage of a request, exported by OTLP when an endpoint is configured, free otherwise.

Context travels in the messages as a W3C traceparent string; every stage makes its span the parent of the next. While
tracing is off no OpenTelemetry module is loaded, `span` gives one shared inert object and the trace strings stay empty.
"""

from typing import Any

Attribute = str | int | float | bool


class Span:
    """A span that does nothing: what everybody gets while tracing is off."""

    trace = ""

    def set(self, **attributes: Attribute) -> None:
        """Adds attributes."""

    def event(self, name: str) -> None:
        """Marks a moment, such as the first token."""

    def error(self, message: str) -> None:
        """Marks the span as failed."""

    def end(self) -> None:
        """Ends the span; more calls change nothing."""


_OFF = Span()
_tracing: Any = None  # xylem.shared.runtime.tracing, once started


def start(service: str, instance: str, endpoint: str) -> None:
    """Exports spans to the OTLP/HTTP `endpoint` from now on; an empty one leaves tracing off."""
    global _tracing
    if endpoint:
        from xylem.shared.runtime import tracing

        tracing.start(service, instance, endpoint)
        _tracing = tracing


def stop() -> None:
    """Sends what is pending, and turns tracing off."""
    global _tracing
    if _tracing is not None:
        _tracing.stop()
        _tracing = None


def enabled() -> bool:
    return _tracing is not None


def span(name: str, parent: str = "", **attributes: Attribute) -> Span:
    """A span from now on, child of the traceparent `parent` (a root when that is empty). End it with `.end()`."""
    if _tracing is None:
        return _OFF
    return _tracing.LiveSpan(name, parent, None, attributes)  # type: ignore[no-any-return]


def record(name: str, parent: str, start_ns: int, end_ns: int, **attributes: Attribute) -> str:
    """A span that is already over (Unix times in ns); gives its traceparent."""
    if _tracing is None:
        return ""
    live = _tracing.LiveSpan(name, parent, start_ns, attributes)
    live.end(end_ns)
    return live.trace  # type: ignore[no-any-return]
