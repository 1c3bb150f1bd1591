"""How long the device takes for a piece of work."""

import statistics
import time
from collections.abc import Callable

import torch

# More than the caches of any GPU hold: what a kernel reads comes from memory, as it does in a model.
FLUSH_BYTES = 256 << 20
SLEEP_CYCLES = 1_000_000  # half a millisecond: longer than the host needs to give out the work, which waits meanwhile


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median of the repeats, after three that do not count."""
    if device.type != "cuda":
        return statistics.median(_on_host(work) for _ in range(repeats + 3))
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device=device)
    times = []
    for _ in range(repeats + 3):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        flush.zero_()
        torch.cuda._sleep(SLEEP_CYCLES)
        began.record()
        work()
        ended.record()
        times.append((began, ended))
    torch.cuda.synchronize(device)
    return statistics.median(float(began.elapsed_time(ended)) / 1e3 for began, ended in times[3:])


def _on_host(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
