"""The figures of some runs as people read them."""

from rich.table import Table

from benchmarks.figures import Figures, Spread
from benchmarks.serving_run import Pace


def label(pace: Pace) -> str:
    return f"{pace.rate:g} sessions/s" if pace.rate else f"{pace.clients} clients"


def table(title: str, found: list[tuple[Pace, Figures]]) -> Table:
    """A column for each load."""
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("")
    for pace, _ in found:
        drawn.add_column(label(pace), justify="right")
    each = [of for _, of in found]
    drawn.add_row("completed of requests", *(f"{of.completed} / {of.requests}" for of in each))
    drawn.add_row("errors", *(", ".join(f"{kind}: {n}" for kind, n in of.errors.items()) or "none" for of in each))
    drawn.add_row("requests/s", *(f"{of.requests_per_s:.2f}" for of in each))
    drawn.add_row("output tokens/s", *(f"{of.output_tokens_per_s:.1f}" for of in each))
    for name in ("ttft_ms", "itl_ms", "tpot_ms", "e2e_ms"):
        drawn.add_row(f"{name} p50 / p90 / p99", *(_percentiles(getattr(of, name)) for of in each))
    drawn.add_row("goodput", *(f"{of.goodput:.1%}" for of in each))
    drawn.add_row("prompt tokens cached", *("?" if (s := of.cached_share) is None else f"{s:.1%}" for of in each))
    drawn.add_row("tokens counted by", *(of.counted for of in each))
    return drawn


def _percentiles(of: Spread | None) -> str:
    return "-" if of is None else f"{of.p50:.1f} / {of.p90:.1f} / {of.p99:.1f}"
