"""Whether the memory of processes stays flat."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

WARM_UP = 0.4  # the first part of the samples does not count: caches fill, allocators settle
GROWTH_MIB = 12.0
GROWTH_SHARE = 0.05


def resident_mib(pid: int) -> float:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) / 1024


def ends(samples: Sequence[float]) -> tuple[float, float]:
    """Means of the first and of the last third after the warm-up."""
    warm = samples[int(len(samples) * WARM_UP) :]
    third = max(1, len(warm) // 3)
    return mean(warm[:third]), mean(warm[-third:])


def grown(samples: Mapping[str, Sequence[float]]) -> list[str]:
    """The processes whose memory is not flat."""
    found = []
    for name, each in samples.items():
        before, after = ends(each)
        if after - before > max(GROWTH_MIB, GROWTH_SHARE * before):
            found.append(f"{name} grew from {before:.0f} to {after:.0f} MiB")
    return found


def table(samples: Mapping[str, Sequence[float]]) -> str:
    rows = [f"| {name} | {each[0]:.0f} | {ends(each)[0]:.1f} | {ends(each)[1]:.1f} |" for name, each in samples.items()]
    return "\n".join(["| process | first MiB | warm MiB | last MiB |", "|---|---:|---:|---:|", *rows])
